package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// progress is the file of a long campaign's results, one JSON object a line, by seed, commit and programs: another
// program begins another file. A campaign in the short form begins anew each time and keeps none.
type progress struct {
	file *os.File // nil: not kept
	done []result // by an earlier process
}

func openProgress(c *campaign) (*progress, error) {
	if !c.long || c.anew || c.number >= 0 {
		return &progress{}, nil
	}
	of, err := programs(c.alexnet)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(c.build, fmt.Sprintf("seed%d-%s-%s.jsonl", c.seed, c.commit, of))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	p := &progress{file: f}
	if err := p.read(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// read takes the whole lines; one that was cut off is cut away.
func (p *progress) read() error {
	text, err := io.ReadAll(p.file)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	lines := bufio.NewScanner(bytes.NewReader(text[:whole]))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		p.done = append(p.done, r)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if err := p.file.Truncate(int64(whole)); err != nil {
		return err
	}
	_, err = p.file.Seek(int64(whole), io.SeekStart)
	return err
}

func (p *progress) add(r result) error {
	if p.file == nil {
		return nil
	}
	if len(r.Lost) > 1<<16 {
		r.Lost = r.Lost[:1<<16] + "…"
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = p.file.Write(append(line, '\n'))
	}
	return err
}

func (p *progress) close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// programs is a short name for the bytes of the program under test and of this one.
func programs(alexnet string) (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range []string{alexnet, own} {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// commitNow is the commit that is checked out, with a + where files differ from it.
func commitNow() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	commit := strings.TrimSpace(string(out))
	if out, err := exec.Command("git", "status", "--porcelain").Output(); err != nil || len(out) > 0 {
		commit += "+"
	}
	return commit
}

// times is what a case of each row took on this machine, kept between campaigns for the estimate.
type times map[string]time.Duration

func (c *campaign) timesFile() string { return filepath.Join(c.build, "times.json") }

func (c *campaign) readTimes() times {
	t := times{}
	text, err := os.ReadFile(c.timesFile())
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil {
		return times{} // no estimate
	}
	return t
}

// measured is the mean time of a row's cases that were tried, by this campaign or an earlier one.
func (c *campaign) measured() times {
	t := c.readTimes()
	for _, r := range c.rows {
		var sum time.Duration
		n := 0
		for _, done := range r.results {
			if done.Case != wholeRow && done.Skipped == "" {
				sum += done.Took
				n++
			}
		}
		if n > 0 {
			t[r.name] = sum / time.Duration(n)
		} else if done, whole := r.results[wholeRow]; whole && done.Skipped != "" {
			t[r.name] = 0
		}
	}
	return t
}

// estimate says how long the campaign will take, where every row's time is known from an earlier one.
func (c *campaign) estimate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := 0
	for _, r := range c.rows {
		done += len(r.results)
	}
	if done > 0 {
		c.say("faults: %d cases are done already\n", done)
	}
	c.sayTime()
}

// sayTime does so as soon as a case of every row was measured. It is called under the lock.
func (c *campaign) sayTime() {
	if c.saidTime || c.number >= 0 {
		return
	}
	t := c.measured()
	var left time.Duration
	for _, r := range c.rows {
		took, known := t[r.name]
		if !known {
			return
		}
		n := 0
		for i := range r.cases {
			if _, done := r.results[i]; !done {
				n++
			}
		}
		if r.bad != nil {
			n = 0
		}
		work := took * time.Duration(n)
		hands := c.jobs
		if r.atOnce > 0 {
			hands = min(hands, r.atOnce)
		}
		left += work / time.Duration(hands)
	}
	c.saidTime = true
	c.say("faults: about %v from here, by the measured time of a case\n", round(left))
}

// saveTimes keeps what was measured.
func (c *campaign) saveTimes() error {
	text, err := json.MarshalIndent(c.measured(), "", "\t")
	if err == nil {
		err = os.WriteFile(c.timesFile(), append(text, '\n'), 0o666)
	}
	return err
}

func round(d time.Duration) time.Duration {
	switch {
	case d > 10*time.Minute:
		return d.Round(time.Minute)
	case d > 10*time.Second:
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}
