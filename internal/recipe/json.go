package recipe

import (
	"encoding/json"
	"fmt"
	"strings"

	"alexnet/internal/config"
)

// document is a recipe as checkpoints keep it in their metadata: all but the mean, which is a tensor.
type document struct {
	Resize   int                  `json:"resize"`
	Fit      config.Fit           `json:"fit,omitempty"`
	Interp   config.Interpolation `json:"interpolation,omitempty"`
	Height   int                  `json:"height"`
	Width    int                  `json:"width"`
	Crop     int                  `json:"crop"`
	Channels int                  `json:"channels"`
	Exif     config.Exif          `json:"exif,omitempty"`
	MeanKind config.Mean          `json:"mean"`
	Scale    []float32            `json:"scale,omitempty"`
	Eigvec   [3][3]float64        `json:"eigvec"`
	Stdev    [3]float64           `json:"stdev"`
	Decoder  string               `json:"decoder,omitempty"`
}

// MarshalJSON writes all but the mean and its shape.
func (r Recipe) MarshalJSON() ([]byte, error) {
	return json.Marshal(document{
		r.Resize, r.Fit, r.Interpolation, r.Height, r.Width, r.Crop, r.Channels, r.Exif, r.MeanKind, r.Scale,
		r.Colors.Eigvec, r.Colors.Stdev, r.Decoder,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote; the mean stays as it is.
func (r *Recipe) UnmarshalJSON(text []byte) error {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return err
	}
	*r = Recipe{
		Resize: d.Resize, Fit: d.Fit, Interpolation: d.Interp,
		Height: d.Height, Width: d.Width, Crop: d.Crop, Channels: d.Channels, Exif: d.Exif,
		MeanKind: d.MeanKind, Mean: r.Mean, MeanShape: r.MeanShape, Scale: d.Scale,
		Colors: Colors{d.Eigvec, d.Stdev}, Decoder: d.Decoder,
	}
	return nil
}

// Public is a recipe for other programs, which have one mean and one divisor a channel. Mean and Std are of values
// 0..255.
type Public struct {
	Shape   [3]int `json:"shape"`             // of the input, (C, H, W)
	Color   string `json:"color"`             // RGB or grey
	Upright bool   `json:"upright,omitempty"` // turned as EXIF says before anything else
	Resize  int    `json:"resize"`
	// how pictures become square where that is not by cutting out the centre, and how they are resized where that is
	// not with antialiasing
	Fit           config.Fit           `json:"fit,omitempty"`
	Interpolation config.Interpolation `json:"interpolation,omitempty"`
	Crop          int                  `json:"crop"`
	Mean          []float32            `json:"mean"`
	MeanImage     string               `json:"mean_image,omitempty"` // file, to be subtracted instead of Mean
	Std           []float32            `json:"std"`
}

// Public gives the mean colour in place of a mean image, whose file, if there is one, is named by the caller.
func (r *Recipe) Public(meanImage string) Public {
	p := Public{
		Shape: [3]int{r.Channels, r.Crop, r.Crop}, Color: "RGB", Resize: r.Resize,
		Fit: r.Fit, Interpolation: r.Interpolation, Crop: r.Crop, MeanImage: meanImage,
		Upright: r.Exif == config.ApplyExif,
		Mean:    make([]float32, r.Channels), Std: make([]float32, r.Channels),
	}
	if r.Channels == 1 {
		p.Color = "grey"
	}
	pixels := len(r.Mean) / r.Channels
	for c := range p.Mean {
		sum := 0.0
		for _, v := range r.Mean[c*pixels:][:pixels] {
			sum += float64(v)
		}
		p.Mean[c], p.Std[c] = float32(sum/float64(max(pixels, 1))), 1
		if len(r.Scale) > 0 {
			p.Std[c] = float32(1 / float64(r.Scale[c]))
		}
	}
	return p
}

// Words are for people who prepare pictures elsewhere.
func (p *Public) Words() string {
	steps := []string{p.Color + " of 0..255"}
	if p.Upright {
		steps = append(steps, "turned as EXIF says")
	}
	if p.Resize > 0 {
		how := "bilinear, antialiased"
		if p.Interpolation == config.TwoNearest {
			how = "bilinear, not antialiased: OpenCV's INTER_LINEAR"
		}
		if p.Fit == config.SquashFit {
			steps = append(steps, fmt.Sprintf("both sides to %d (%s)", p.Resize, how))
		} else {
			steps = append(steps,
				fmt.Sprintf("shorter side to %d (%s; the longer rounded down), centre square", p.Resize, how))
		}
	}
	crop := fmt.Sprintf("centre crop of %d", p.Crop)
	if p.MeanImage != "" {
		steps = append(steps, "minus the mean image in "+p.MeanImage+" (or, nearly, minus mean)", crop)
	} else {
		steps = append(steps, crop, "minus mean")
	}
	return strings.Join(append(steps, "divided by std", "NCHW"), "; ")
}
