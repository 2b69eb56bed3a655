package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"alexnet/internal/infer"
	"alexnet/internal/report"
	"alexnet/internal/report/page"
	"alexnet/internal/stats"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// evil breaks out of whatever does not escape it; long is as long as a file name can be, and more.
var (
	evil = "</script><script>document.title='forged'</script>\"'`<img src=x onerror=alert(1)>\n\x1b[2J${1}{{.}}\u202e"
	long = strings.Repeat("long", 75)
)

func ptr(v float64) *float64 { return &v }

// overview is that of a run of so many steps of 32 pictures, a hundred an epoch, whose loss falls.
func overview(steps int) *report.Overview {
	o := report.NewOverview(32)
	for i := 1; i <= steps; i++ {
		falling := 2 / (1 + float64(i)/200)
		o.Add(&report.Metrics{
			Step: uint64(i), Epoch: (i + 99) / 100, Loss: ptr(falling + .1*math.Sin(float64(i))),
			Top1Error: ptr(falling / 4), LR: ptr(.01), ImagesPerSecond: ptr(1000), DataStall: ptr(.02),
		})
		if i%100 == 0 {
			o.Add(&report.Metrics{
				Step: uint64(i), Epoch: i / 100, ValLoss: ptr(falling), ValTop1Error: ptr(falling / 3),
				ValTop5Error: ptr(falling / 9), ExchangeBytes: ptr(1 << 20), ExchangeSeconds: ptr(.001),
			})
		}
	}
	return o
}

// outcome is one of so many classes, of ten pictures each, of which each class but the first has one wrong.
func outcome(classes int) *infer.Outcome {
	o := &infer.Outcome{Crops: 1, Confusions: []infer.Confusion{}, Pairs: classes - 1}
	for i := range classes {
		wrong := min(i, 1)
		o.Classes = append(o.Classes, infer.ClassOutcome{
			Class: text.Raw(fmt.Sprintf("class %d", i)), Images: 10, Top1Errors: wrong, Answered: 10,
			Top1Error: float64(wrong) / 10, Top1ErrorInterval: stats.Wilson(wrong, 10),
		})
		if i > 0 {
			o.Confusions = append(o.Confusions, infer.Confusion{Label: i, Answer: 0, Pictures: 1})
		}
		if i > 0 && i <= infer.MostConfident {
			o.Mistakes = append(o.Mistakes, infer.Mistake{
				File: text.Raw(fmt.Sprintf("val/class %d/1.png", i)), Label: i, Probability: .9, LabelProbability: .05,
			})
		}
	}
	n := 10 * classes
	o.Evaluation = infer.Evaluation{Score: step.Score{Images: n, Top1Error: float64(classes-1) / float64(n)}}
	o.Top1ErrorInterval = stats.Wilson(classes-1, n)
	return o
}

// whole is a run with everything, hostile names included.
func whole(name string, steps, classes int) page.Run {
	r := page.Run{
		Name: name, Facts: []page.Fact{{Name: "state", Value: "finished"}, {Name: "data", Value: evil}},
		Settings: []page.Setting{
			{Key: "train.lr", Value: "0.02", Page: "0.01", Differs: true}, {Key: "data.mean", Value: evil, Page: evil},
		},
		Net: "demo", Overview: overview(steps), Weights: evil + "/best.safetensors",
		Kernels: &infer.Kernels{
			Layer: "conv1", Shape: [4]int{4, 3, 5, 5}, Weights: make([]float32, 4*3*5*5), Columns: 2, Color: true,
		},
		Dead: []infer.DeadUnits{{Layer: "conv1", Dead: 1, Units: 4}}, DeadOf: 256,
		Outcome: outcome(classes), OutcomeOf: "validation pictures of " + evil, Missing: []string{evil},
	}
	for i := range 25 { // the first kernel is red
		r.Kernels.Weights[i] = 1
	}
	for i := range r.Outcome.Classes {
		c := &r.Outcome.Classes[i]
		c.Class = []text.Raw{text.Raw(evil), text.Raw(long), c.Class}[min(i, 2)]
	}
	for i := range r.Outcome.Mistakes {
		m := image.NewRGBA(image.Rect(0, 0, 32, 32))
		for p := range 32 * 32 {
			m.Set(p%32, p/32, color.RGBA{uint8(8 * (p % 32)), uint8(8 * (p / 32)), uint8(9 * i), 255})
		}
		r.Pictures = append(r.Pictures, m)
	}
	if len(r.Pictures) > 0 {
		r.Pictures[0], r.Outcome.Mistakes[0].File = nil, text.Raw(long+evil)
	}
	return r
}

func write(t *testing.T, runs ...page.Run) string {
	t.Helper()
	var b bytes.Buffer
	p := page.Page{Written: time.Unix(0, 0), Program: "alexnet", Runs: runs}
	if err := page.Write(&b, &p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// inside gives what stands in all elements of a name, whatever their attributes.
func inside(html, element string) (all []string) {
	for _, m := range regexp.MustCompile(`(?s)<`+element+`[^>]*>(.*?)</`+element+`>`).FindAllStringSubmatch(html, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestHostile: whatever names are, the page has the elements of its layout and no others, and its data are JSON.
func TestHostile(t *testing.T) {
	html := write(t, whole(evil, 50, 30), whole(long, 50, 30))
	tame := whole("tame", 50, 30)
	tame.Facts, tame.Missing, tame.Weights, tame.OutcomeOf = tame.Facts[:1], []string{"x"}, "w", "of"
	tame.Settings[1].Value, tame.Settings[1].Page = "x", "x"
	for i := range tame.Outcome.Classes {
		tame.Outcome.Classes[i].Class = "c"
	}
	tame.Outcome.Mistakes[0].File = "f"
	expected := write(t, tame, tame)
	for _, tag := range []string{"<script", "</script", "<img", "<svg", "<article"} {
		if got, want := strings.Count(html, tag), strings.Count(expected, tag); got != want {
			t.Errorf("%d %s> in a page of hostile names, %d in one of tame ones", got, tag, want)
		}
	}
	if strings.ContainsAny(html, "\x1b\u202e") {
		t.Error("what a terminal or a browser would obey is in the page")
	}
	var data struct{ Runs []struct{ Name string } }
	if err := json.Unmarshal([]byte(inside(html, "script")[0]), &data); err != nil || len(data.Runs) != 2 {
		t.Errorf("the data: %v, %d runs", err, len(data.Runs))
	}
}

// TestPolicy: the page allows the scripts and styles that are in it, by their hashes, and nothing else.
func TestPolicy(t *testing.T) {
	html := write(t, whole("a", 10, 3))
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(html)
	if policy == nil {
		t.Fatal("there is none")
	}
	allowed := strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(policy[1])
	if !strings.HasPrefix(allowed, "default-src 'none'; img-src data:; ") || strings.Contains(allowed, "unsafe") {
		t.Errorf("it is %s", allowed)
	}
	for _, s := range append(inside(html, "script")[1:], inside(html, "style")...) {
		sum := sha256.Sum256([]byte(s))
		if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(allowed, hash) {
			t.Errorf("it does not allow what begins with %.60q", s)
		}
	}
	if regexp.MustCompile(`\sstyle="|\son[a-z]+="|https?://[^ "<]*"`).MatchString(html) {
		t.Error("there is a style or a handler in an attribute, or an address")
	}
}

// TestUPlot: what is embedded is uPlot 1.6.32 as it was published.
func TestUPlot(t *testing.T) {
	for name, want := range map[string]string{
		"uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uPlot.min.css":     "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
	} {
		b, err := os.ReadFile(filepath.Join("assets", name))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != want {
			t.Errorf("%s: SHA-256 is %s, want %s", name, got, want)
		}
	}
}

// TestClasses: up to 100 classes there is a matrix, beyond the 50 most confused pairs.
func TestClasses(t *testing.T) {
	for _, c := range []struct {
		classes, matrices, pairs int
	}{{1, 1, 0}, {2, 1, 1}, {100, 1, 50}, {101, 0, 50}, {1000, 0, 50}} {
		r := page.Run{Name: "r", Outcome: outcome(c.classes)}
		html := write(t, r)
		if got := strings.Count(html, `alt="confusion matrix"`); got != c.matrices {
			t.Errorf("%d classes: %d matrices", c.classes, got)
		}
		if got := strings.Count(html, "<td>class 0</td>"); got != c.pairs && c.classes > 2 {
			t.Errorf("%d classes: %d pairs, want %d", c.classes, got, c.pairs)
		}
		if got := strings.Count(html, "the picture cannot be read"); got != min(c.classes-1, infer.MostConfident) {
			t.Errorf("%d classes: %d pictures that cannot be read", c.classes, got)
		}
		if len(html) > 1<<20 {
			t.Errorf("%d classes: %d bytes", c.classes, len(html))
		}
	}
}

// TestLittle: a run of which nothing is known makes a page that says so.
func TestLittle(t *testing.T) {
	html := write(t, page.Run{Name: "empty", Missing: []string{"the net: there is no checkpoint"}})
	if !strings.Contains(html, "there is no checkpoint") || strings.Contains(html, `id="plots"`) {
		t.Error("it does not say what is missing, or has room for curves")
	}
	one := page.Run{Name: "one", Overview: overview(1)}
	if html := write(t, one); !strings.Contains(html, `id="plots"`) {
		t.Error("one step is not drawn")
	}
}

// TestSize: a long run takes no more room than its bins.
func TestSize(t *testing.T) {
	if n := len(write(t, page.Run{Name: "r", Overview: overview(100_000)})); n > 1<<20 {
		t.Errorf("%d bytes", n)
	}
}

func TestSound(t *testing.T) {
	if !page.Sound(outcome(3)) {
		t.Error("a sound one is refused")
	}
	for name, spoil := range map[string]func(*infer.Outcome){
		"no classes":  func(o *infer.Outcome) { o.Classes = nil },
		"a label":     func(o *infer.Outcome) { o.Confusions[0].Label = 3 },
		"an answer":   func(o *infer.Outcome) { o.Mistakes[0].Answer = -1 },
		"a number":    func(o *infer.Outcome) { o.Mistakes[0].Number = -1 },
		"more errors": func(o *infer.Outcome) { o.Classes[0].Top1Errors = 11 },
		"many":        func(o *infer.Outcome) { o.Mistakes = make([]infer.Mistake, 26) },
	} {
		o := outcome(3)
		spoil(o)
		if page.Sound(o) {
			t.Errorf("%s: it is taken", name)
		}
	}
}
