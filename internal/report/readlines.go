package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Line is a line of a metrics.jsonl as it stands there.
type Line struct {
	Number int     // from 1
	Torn   bool    // the file ends in it
	Sum    uint32  // CRC-32C of its text, without the end
	M      Metrics // where Err is nil
	Err    error   // it is not as this program writes lines
}

// longest is how long a line is at most: those of this program have some hundred bytes.
const longest = 1 << 16

// ReadLines reads a metrics.jsonl line by line, what is damaged too. It ends with the first error of each, which it
// returns. Where [NewWriter] takes what can be understood, this holds each line to what the program would write.
func ReadLines(r io.Reader, each func(Line) error) error {
	in := bufio.NewReaderSize(r, longest)
	for n := 1; ; n++ {
		text, err := in.ReadSlice('\n')
		l := Line{Number: n, Torn: errors.Is(err, io.EOF), Sum: lineSum(text)}
		switch {
		case l.Torn && len(text) == 0:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			l.Err = fmt.Errorf("it is longer than %d bytes", longest)
			if l.Torn, err = skipLine(in); err != nil {
				return err
			}
		case err != nil && !l.Torn:
			return err
		default:
			l.M, l.Err = parseLine(bytes.TrimSuffix(text, []byte("\n")))
		}
		if err := each(l); err != nil || l.Torn {
			return err
		}
	}
}

// skipLine goes to the end of the line; torn where the file ends before.
func skipLine(in *bufio.Reader) (torn bool, err error) {
	for {
		_, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return true, nil
		default:
			return false, err
		}
	}
}

// parseLine refuses what would be written in another way: another spelling of a key, a key that is not known, spaces.
func parseLine(text []byte) (m Metrics, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		return Metrics{}, err
	}
	again, err := json.Marshal(m)
	if err == nil && !bytes.Equal(again, text) {
		err = errors.New("it is not as this program writes lines")
	}
	return m, err
}
