package reference

import "math"

// softmax writes the probabilities p (rows, classes) of the logits x and, for rows with a label, the three statistics:
// -log p of the label, whether it is not the first, whether it is not among the first five.
func softmax[T Float](rows, classes int, x []T, labels []int32, p, stats []T) {
	for r := range rows {
		x, p := x[r*classes:(r+1)*classes], p[r*classes:(r+1)*classes]
		top := x[0]
		for _, v := range x {
			top = max(top, v)
		}
		sum := 0.
		for _, v := range x {
			sum += math.Exp(float64(v - top))
		}
		for k, v := range x {
			p[k] = T(math.Exp(float64(v-top)) / sum)
		}
		st := stats[3*r : 3*r+3]
		clear(st)
		if label := int(labels[r]); label >= 0 {
			st[0] = T(math.Log(sum) + float64(top) - float64(x[label])) // -log(e^(x-top)/sum): finite where p is 0
			rank := rankOf(x, label)
			st[1], st[2] = oneIf[T](rank >= 1), oneIf[T](rank >= 5)
		}
	}
}

// rankOf is the number of classes ahead of label: those with a larger logit, or an equal one and a lower number.
func rankOf[T Float](x []T, label int) int {
	rank := 0
	for k, v := range x {
		if v > x[label] || v == x[label] && k < label {
			rank++
		}
	}
	return rank
}

func oneIf[T Float | ~uint8](b bool) T {
	if b {
		return 1
	}
	return 0
}

// softmaxBackward writes the gradient of the logits, (p - onehot) / divisor, and 0 for rows without a label.
func softmaxBackward[T Float](rows, classes int, p []T, labels []int32, divisor T, dx []T) {
	for r := range rows {
		p, dx := p[r*classes:(r+1)*classes], dx[r*classes:(r+1)*classes]
		label := int(labels[r])
		if label < 0 {
			clear(dx)
			continue
		}
		for k, v := range p {
			if k == label {
				v--
			}
			dx[k] = v / divisor
		}
	}
}
