package recipe

import (
	"encoding/json"
	"testing"

	"alexnet/internal/config"
)

// Whatever a file says of pictures: it is refused, or every size that is made of it is one that a picture can have, and
// it comes back as it was written.
func FuzzRecipe(f *testing.F) {
	f.Add([]byte(`{"resize":8,"height":8,"width":8,"crop":8,"channels":3,"mean":"channel","scale":[1,1,1]}`))
	f.Add([]byte(`{"resize":2147483648,"height":2147483648,"width":2147483648,"crop":1,"channels":1}`))
	f.Add([]byte(`{"resize":-1,"height":4294967296,"width":4294967296,"channels":4}`))
	f.Add([]byte(`{"height":8,"width":8,"crop":8,"channels":3,"mean":"channel","scale":[]}`))
	f.Add([]byte(`{"eigvec":[[1e300,0,0]],"stdev":[-1],"decoder":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r Recipe
		if json.Unmarshal(text, &r) != nil || r.Check() != nil {
			return
		}
		if n := int64(r.Height) * int64(r.Width) * int64(r.Channels); n < 0 || n > 3*maxPixels ||
			n != int64(r.Pixels()) {
			t.Errorf("pictures of %dx%dx%d", r.Height, r.Width, r.Channels)
		}
		if r.Channels > 0 {
			p := r.Public("")
			_ = p.Words()
			_ = r.stds()
		}
		if _, err := r.For(config.Input{Channels: 3, Size: 8}); err == nil && (r.Height < 8 || r.Channels != 3) {
			t.Errorf("%+v for a net of 3x8x8", r)
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Recipe
		if err := json.Unmarshal(again, &back); err != nil || back.Check() != nil {
			t.Errorf("%s: %v, %v", again, err, back.Check())
		}
	})
}
