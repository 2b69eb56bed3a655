package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"alexnet/internal/tensor"
)

// Sum is a checksum, SHA-256 in hexadecimal, of all that decides what the net makes of a picture: its page, the form of
// dropout, the recipe with the mean, and the parameters. Momentum, and where the file lies, are not part of it: of a
// run's last and best checkpoint, where they are of the same step, the sums are the same. It reads the parameters, as
// Restore does, and ends with ctx.
func (c *Checkpoint) Sum(ctx context.Context) (string, error) {
	document, err := json.Marshal(c.Recipe) // but for the mean, which is a tensor like the others
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d %s%q %d %s\n", len(c.Config), c.Config, c.Dropout, len(document), document)
	all := slices.Clone(c.Params)
	if len(c.Recipe.MeanShape) > 0 {
		all = append(all, tensor.Of(meanTensor, c.Recipe.MeanShape, c.Recipe.Mean))
	}
	longest := 0
	for _, t := range all {
		longest = max(longest, t.Len())
	}
	values, raw := make([]float32, longest), make([]byte, 4*min(longest, sumBlock))
	for _, t := range all {
		v := values[:t.Len()]
		if err := t.WithContext(ctx).Fill(v); err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(h, "%q %v\n", t.Name, t.Shape)
		for len(v) > 0 {
			n := min(len(v), sumBlock)
			_ = tensor.Encoders["F32"](raw, v[:n]) // never fails
			_, _ = h.Write(raw[:4*n])
			v = v[n:]
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sumBlock is how many numbers are made bytes at a time.
const sumBlock = 1 << 16
