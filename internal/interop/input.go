package interop

import (
	"fmt"
	"strings"

	"alexnet/internal/checkpoint"
)

func isImage(p *checkpoint.Preprocess) bool { return len(p.MeanShape) == 3 }

// input tells how a picture becomes the net's input. Mean and Std are of values 0..255, one number a channel.
type input struct {
	Shape     [3]int    `json:"shape"` // of the input, (C, H, W)
	Color     string    `json:"color"` // RGB or grey
	Resize    int       `json:"resize"`
	Crop      int       `json:"crop"`
	Mean      []float32 `json:"mean"`
	MeanImage string    `json:"mean_image,omitempty"` // file, to be subtracted instead of Mean
	Std       []float32 `json:"std"`
}

func inputOf(p *checkpoint.Preprocess) input {
	in := input{
		Shape: [3]int{p.Channels, p.Crop, p.Crop}, Color: "RGB", Resize: p.Resize, Crop: p.Crop,
		Mean: make([]float32, p.Channels), Std: make([]float32, p.Channels),
	}
	if p.Channels == 1 {
		in.Color = "grey"
	}
	pixels := len(p.Mean) / p.Channels
	for ch := range in.Mean {
		sum := 0.0
		for _, v := range p.Mean[ch*pixels:][:pixels] {
			sum += float64(v)
		}
		in.Mean[ch], in.Std[ch] = float32(sum/float64(max(pixels, 1))), 1
		if p.Scale != nil {
			in.Std[ch] = float32(1 / float64(p.Scale[ch]))
		}
	}
	return in
}

// words are for people.
func (in *input) words() string {
	steps := []string{in.Color + " of 0..255"}
	if in.Resize > 0 {
		steps = append(steps, fmt.Sprintf("shorter side to %d (bilinear, antialiased; the longer rounded down), "+
			"centre square", in.Resize))
	}
	crop := fmt.Sprintf("centre crop of %d", in.Crop)
	if in.MeanImage != "" {
		steps = append(steps, "minus the mean image in "+in.MeanImage+" (or, nearly, minus mean)", crop)
	} else {
		steps = append(steps, crop, "minus mean")
	}
	return strings.Join(append(steps, "divided by std", "NCHW"), "; ")
}
