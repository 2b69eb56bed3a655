package recipe

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/config"
)

// A net without a mean has one of zeros, and no file for it; grey is grey; what no metadata could say is not said.
func TestExportedInput(t *testing.T) {
	in := (&Recipe{Height: 28, Width: 28, Crop: 28, Channels: 1}).Public("")
	if !slices.Equal(in.Mean, []float32{0}) || !slices.Equal(in.Std, []float32{1}) {
		t.Errorf("%+v", in)
	}
	if got := in.Words(); got != "grey of 0..255; centre crop of 28; minus mean; divided by std; NCHW" {
		t.Errorf("in words: %s", got)
	}
	none := Recipe{}
	if err := json.Unmarshal([]byte(`{"height":28,"width":28,"crop":28,"channels":1,"scale":[]}`), &none); err != nil {
		t.Fatal(err)
	}
	if in = none.Public(""); none.Check() != nil || !slices.Equal(in.Std, []float32{1}) || none.stds() != "[]" {
		t.Errorf("an empty scale: %+v", in)
	}
	in = (&Recipe{
		Resize: 256, Height: 256, Width: 256, Crop: 224, Channels: 3, Mean: []float32{1, 2, 3}, MeanShape: []int{3},
	}).Public("")
	if w := in.Words(); !strings.Contains(w, "shorter side to 256 (bilinear, antialiased;") {
		t.Errorf("in words: %s", w)
	}
	in.Fit, in.Interpolation = config.SquashFit, config.TwoNearest
	if w := in.Words(); !strings.Contains(w, "both sides to 256 (bilinear, not antialiased: OpenCV's INTER_LINEAR)") {
		t.Errorf("in words: %s", w)
	}
	if !slices.Equal(in.Mean, []float32{1, 2, 3}) || in.MeanImage != "" {
		t.Errorf("%+v", in)
	}
}

// What a checkpoint keeps comes back; the mean is not in it, for it is a tensor.
func TestJSON(t *testing.T) {
	r := Recipe{
		Resize: 256, Height: 256, Width: 256, Crop: 224, Channels: 3, MeanKind: config.MeanChannel,
		Mean: []float32{1, 2, 3}, MeanShape: []int{3}, Scale: []float32{.5, .25, 1. / 3}, Decoder: "libjpeg-turbo",
		Colors: Colors{Eigvec: [3][3]float64{{.1, 1. / 3, -.7}}, Stdev: [3]float64{19.72, 37.09, 121.78}},
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"resize":256,"height":256,"width":256,"crop":224,"channels":3,"mean":"channel",` +
		`"scale":[0.5,0.25,0.33333334],"eigvec":[[0.1,0.3333333333333333,-0.7],[0,0,0],[0,0,0]],` +
		`"stdev":[19.72,37.09,121.78],"decoder":"libjpeg-turbo"}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	other := Recipe{
		Resize: 256, Height: 256, Width: 256, Channels: 3, Fit: config.SquashFit, Interpolation: config.TwoNearest,
	}
	if page, err := json.Marshal(other); err != nil || !bytes.Contains(page,
		[]byte(`{"resize":256,"fit":"squash","interpolation":"linear","height"`)) {
		t.Errorf("%s, %v", page, err)
	} else if back := (Recipe{}); json.Unmarshal(page, &back) != nil || !cmp.Equal(back, other) {
		t.Errorf("%s came back as %+v", page, back)
	}
	other.Fit = "stretch"
	if other.Check() == nil {
		t.Error("another fit is let pass")
	}
	other.Fit, other.Interpolation = "", "cubic"
	if other.Check() == nil {
		t.Error("another interpolation is let pass")
	}
	got := Recipe{Mean: r.Mean, MeanShape: r.MeanShape}
	if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(got, r) {
		t.Errorf("%v\n%s", err, cmp.Diff(r, got))
	}
}

// A page says all but what pictures tell.
func TestNew(t *testing.T) {
	cfg, err := config.Load("torchvision", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := New(cfg)
	if r.Resize != 256 || r.Height != 256 || r.Crop != 224 || r.Channels != 3 || len(r.Scale) != 3 ||
		r.Scale[0] != float32(1/cfg.Data.Std[0]) || r.Mean != nil {
		t.Errorf("%+v", r)
	}
	if r.Fit != "" || r.Interpolation != "" { // not told in what is written: older files are so
		t.Errorf("%+v", r)
	}
	if cfg, err = config.Load("bvlc-alexnet", nil); err != nil {
		t.Fatal(err)
	}
	if r = New(cfg); r.Fit != config.SquashFit || r.Interpolation != config.TwoNearest {
		t.Errorf("%+v", r)
	}
	if cfg, err = config.Load("demo", []string{"data.resize=0", "data.std=[64]"}); err != nil {
		t.Fatal(err)
	}
	if r = New(cfg); r.Height != 0 || !slices.Equal(r.Scale, []float32{1. / 64, 1. / 64, 1. / 64}) {
		t.Errorf("%+v", r)
	}
	if r = r.Sized(); r.Height != r.Crop || r.Width != r.Crop {
		t.Errorf("sized: %+v", r)
	}
}

// The key that is named is the one that can be changed.
func TestFits(t *testing.T) {
	in := config.Input{Channels: 3, Size: 28}
	for want, r := range map[string]Recipe{
		"":                     {Height: 28, Width: 30, Channels: 3},
		"model.input.size":     {Height: 27, Width: 30, Channels: 3},
		"data.resize":          {Resize: 20, Height: 20, Width: 20, Channels: 3},
		"model.input.channels": {Height: 28, Width: 28, Channels: 1},
	} {
		err := r.Fits(in)
		var wrong *config.Error
		if want == "" && err != nil || want != "" && (!errors.As(err, &wrong) || wrong.Key != want) {
			t.Errorf("%+v: %v, want a mistake in %q", r, err, want)
		}
	}
}

// A recipe for a net has the net's crop, and is refused where the net sees more than there is. A mean's shape is its
// kind's.
func TestFor(t *testing.T) {
	r := Recipe{Height: 28, Width: 30, Channels: 3, Crop: 20, MeanKind: config.MeanImage}
	got, err := r.For(config.Input{Channels: 3, Size: 24})
	if err != nil || got.Crop != 24 || r.Crop != 20 || !slices.Equal(got.ShapeOfMean(), []int{3, 28, 30}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err = r.For(config.Input{Channels: 3, Size: 29}); !errors.As(err, new(*config.Error)) {
		t.Errorf("29 pixels of 28: %v", err)
	}
	if r.MeanKind = config.MeanChannel; !slices.Equal(r.ShapeOfMean(), []int{3}) {
		t.Errorf("a mean of shape %v", r.ShapeOfMean())
	}
}
