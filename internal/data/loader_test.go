package data

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"alexnet/internal/config"
	"alexnet/internal/recipe"
	"alexnet/internal/sharedtest"
)

// row is one row of a batch with all that belongs to it, for pictures of numbered: 6x5, of one grey value.
type row struct {
	Sample uint64
	Epoch  int
	Value  uint8
	Label  int32
	Crop   [2]int32
	Flip   bool
	Color  [3]float32
}

// take reads the next batch and lists its rows.
func take(t interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}, l *Loader,
) []row {
	t.Helper()
	const size = 6 * 5 * 3
	info, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	dst := info.Batch
	rows := make([]row, info.Rows)
	good := 0
	for r := range rows {
		pixels := dst.Pixels[r*size:][:size]
		if slices.Max(pixels) != slices.Min(pixels) {
			t.Fatalf("row %d holds a picture that is not of one value: %v", r, pixels)
		}
		if dst.Labels[r] >= 0 {
			good++
		}
		rows[r] = row{
			info.First + uint64(r/l.o.Views), info.Epoch, pixels[0], dst.Labels[r], dst.Crop[r], dst.Flip[r],
			dst.Color[r],
		}
	}
	if good != info.Good {
		t.Fatalf("%d rows have a label, Info says %d", good, info.Good)
	}
	return rows
}

func newLoader(t testing.TB, set *Set, o LoaderOptions) *Loader {
	t.Helper()
	o.Recipe.Height, o.Recipe.Width, o.Recipe.Channels = 5, 6, 3
	l, err := NewLoader(t.Context(), set, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// cropped is a recipe for nets that see squares of this side.
func cropped(side int) recipe.Recipe { return recipe.Recipe{Crop: side} }

func trainOptions(batch int) LoaderOptions {
	o := LoaderOptions{Batch: batch, Recipe: cropped(3), Train: true, Seed: 5}
	o.Augment = config.Augment{Flip: true, Color: .1}
	o.Recipe.Colors.Stdev = [3]float64{1, 2, 3}
	o.Recipe.Colors.Eigvec = [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	return o
}

// In training every epoch has each picture once, in an order of its own, with its label; batches stop at the epoch's
// end.
func TestLoaderEpochs(t *testing.T) {
	l := newLoader(t, numbered(t, 10), trainOptions(4))
	var orders [2][]uint8
	for batch, want := range []int{4, 4, 2, 4, 4, 2} {
		rows := take(t, l)
		if len(rows) != want {
			t.Fatalf("batch %d has %d rows, want %d", batch, len(rows), want)
		}
		for _, r := range rows {
			if r.Epoch != batch/3 || r.Label != int32(r.Value)%3 {
				t.Errorf("row %+v in batch %d", r, batch)
			}
			orders[r.Epoch] = append(orders[r.Epoch], r.Value)
		}
	}
	if slices.Equal(orders[0], orders[1]) {
		t.Error("two epochs in the same order")
	}
	for _, order := range orders {
		slices.Sort(order)
		if !slices.Equal(order, []uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("an epoch had the pictures %v", order)
		}
	}
}

// In evaluation pictures come in their order, as centre crops, and begin again after the end.
func TestLoaderEvaluation(t *testing.T) {
	l := newLoader(t, numbered(t, 5), LoaderOptions{Batch: 3, Recipe: cropped(3), Augment: config.Augment{Flip: true}})
	for _, want := range [][]uint8{{0, 1, 2}, {3, 4}, {0, 1, 2}} {
		var got []uint8
		for _, r := range take(t, l) {
			got = append(got, r.Value)
			if r.Crop != [2]int32{1, 1} || r.Flip || r.Color != [3]float32{} || r.Label != int32(r.Value)%3 {
				t.Errorf("row %+v", r)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pictures %v, want %v", got, want)
		}
	}
}

func TestLoaderTenViews(t *testing.T) {
	l := newLoader(t, numbered(t, 3, 1), LoaderOptions{Batch: 25, Recipe: cropped(3), Views: 10})
	var got []row
	for _, n := range []int{20, 10} {
		rows := take(t, l)
		if len(rows) != n {
			t.Fatalf("%d rows, want %d", len(rows), n)
		}
		got = append(got, rows...)
	}
	all := views(10, &recipe.Recipe{Height: 5, Width: 6, Crop: 3})
	for r, have := range got {
		want := row{
			Sample: uint64(r / 10), Value: uint8(r / 10), Label: int32(r / 10), Crop: all[r%10].crop,
			Flip: all[r%10].flip,
		}
		if r/10 == 1 {
			want.Value, want.Label = 0, -1
		}
		if have != want {
			t.Errorf("row %d is %+v, want %+v", r, have, want)
		}
	}
}

// The rows are the same whatever the number of workers, whether pictures stay in memory, and how the run is cut into
// pieces.
func TestLoaderIsDeterministic(t *testing.T) {
	const n = 23
	undisturbed := func() (all []row) {
		l := newLoader(t, numbered(t, n, 3, 4), trainOptions(1))
		for range 3 * n {
			all = append(all, take(t, l)...)
		}
		return all
	}()
	sets := []*Set{numbered(t, n, 3, 4), numbered(t, n, 3, 4)}
	rapid.Check(t, func(rt *rapid.T) {
		o := trainOptions(rapid.IntRange(1, 40).Draw(rt, "batch"))
		o.Workers = rapid.IntRange(1, 6).Draw(rt, "workers")
		o.Recipe.Height, o.Recipe.Width, o.Recipe.Channels = 5, 6, 3
		k := rapid.IntRange(0, 1).Draw(rt, "cached")
		o.NoCache = k == 0
		l, err := NewLoader(t.Context(), sets[k], o)
		if err != nil {
			rt.Fatal(err)
		}
		defer l.Close()
		at := uint64(0)
		for range rapid.IntRange(1, 8).Draw(rt, "batches") {
			if rapid.Bool().Draw(rt, "jump") {
				at = rapid.Uint64Range(0, 2*n-1).Draw(rt, "to")
				l.Seek(at)
			}
			rows := take(rt, l)
			if at/n != (at+uint64(len(rows))-1)/n {
				rt.Fatalf("batch of %d rows from sample %d crosses the end of an epoch of %d", len(rows), at, n)
			}
			if want := undisturbed[at : at+uint64(len(rows))]; !slices.Equal(rows, want) {
				rt.Fatal(cmp.Diff(want, rows))
			}
			if at += uint64(len(rows)); at >= 2*n {
				at = 0
				l.Seek(0)
			}
		}
	})
}

func TestLoaderBadPictures(t *testing.T) {
	set := numbered(t, 6, 1, 4)
	var told []string
	o := LoaderOptions{Batch: 4, NoCache: true, Recipe: cropped(5)}
	o.OnBad = func(b *BadPicture) { told = append(told, b.Name) }
	l := newLoader(t, set, o)
	for range 3 { // three epochs
		for range 2 {
			for _, r := range take(t, l) {
				if bad := r.Sample%6 == 1 || r.Sample%6 == 4; bad && (r.Label != -1 || r.Value != 0) ||
					!bad && r.Label < 0 {
					t.Errorf("row %+v", r)
				}
			}
		}
	}
	take(t, newLoader(t, set, o)) // another loader of the same run
	if want := []string{"0002", "0005"}; !slices.Equal(told, want) {
		t.Errorf("told of %v, want each once: %v", told, want)
	}
	bad := set.Bad()
	if len(bad) != 2 || bad[0].Name != "0002" || bad[1].Name != "0005" ||
		!strings.Contains(bad[0].Error(), "no picture in a known format") {
		t.Errorf("Bad() is %v", bad)
	}
}

// What was found bad is not read again: a run does not change its mind, and does not pay each epoch.
func TestLoaderReadsBadPicturesOnce(t *testing.T) {
	set := numbered(t, 4, 2)
	l := newLoader(t, set, LoaderOptions{Batch: 4, Recipe: cropped(5), NoCache: true})
	for range 2 {
		if rows := take(t, l); rows[2].Label != -1 {
			t.Errorf("picture 2 was read: %+v", rows[2])
		}
		set.store.(Memory)[2] = pngOf(t, 6, 5, 2)
	}
}

// lender is slots whose reader takes its time. It notes what is asked for.
type lender struct {
	memorySlots
	asked []int
}

func (s *lender) Rows(i int) Rows {
	s.asked = append(s.asked, i)
	return s.memorySlots[i]
}

// Pictures are decoded where they go: into a slot that the loader asks for before it writes there, and that nobody was
// given for as long as a step may take.
func TestLoaderFillsSlots(t *testing.T) {
	for _, count := range []int{2, 3, SlotCount} {
		o := trainOptions(4)
		slots := &lender{memorySlots: newMemorySlots(count, 4, 6*5*3)}
		o.Slots = slots
		l := newLoader(t, numbered(t, 12), o)
		slots.asked = nil
		var given []int
		for n := range 9 {
			if n == 6 {
				l.Seek(30) // what was under way is dropped, and its slots are taken first
				given = nil
			}
			info, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			own := slots.memorySlots[info.Slot]
			if &info.Batch.Pixels[0] != &own.Pixels[0] || &info.Batch.Labels[0] != &own.Labels[0] {
				t.Errorf("batch %d of %d slots does not lie in slot %d", n, count, info.Slot)
			}
			if given = append(given, info.Slot); len(l.queue) != max(count-2, 1) {
				t.Errorf("%d batches under way with %d slots", len(l.queue), count)
			}
			for _, s := range l.queue {
				if slices.Contains(given[max(len(given)-min(count-1, 2), 0):], s.number) {
					t.Errorf("slot %d of %d is written again while it is read: given were %v", s.number, count, given)
				}
			}
		}
		if want := 9 + len(l.queue) + max(count-2, 1); len(slots.asked) != want {
			t.Errorf("slots asked for %d times, want %d: once for each batch begun", len(slots.asked), want)
		}
	}
}

// Several views of a picture are copied to where they go, by turns.
func TestLoaderCopiesViews(t *testing.T) {
	slots := &lender{memorySlots: newMemorySlots(2, 20, 6*5*3)}
	l := newLoader(t, numbered(t, 6), LoaderOptions{Batch: 20, Recipe: cropped(3), Views: 10, Slots: slots})
	var given []int
	for range 3 {
		info, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if &info.Batch.Pixels[0] != &slots.memorySlots[info.Slot].Pixels[0] || info.Batch.Pixels[19*6*5*3] !=
			uint8(info.First)+1 {
			t.Errorf("batch in slot %d: picture %d at the end", info.Slot, info.Batch.Pixels[19*6*5*3])
		}
		given = append(given, info.Slot)
	}
	if given[0] == given[1] || given[0] != given[2] {
		t.Errorf("slots %v", given)
	}
}

// Evaluation does not decode beyond its last picture, for nobody may ask; training does; and seeking to where the
// loader stands keeps what is decoded.
func TestLoaderLooksAhead(t *testing.T) {
	set := numbered(t, 8)
	eval, training := newLoader(t, set, LoaderOptions{Batch: 4, Recipe: cropped(5)}), newLoader(t, set, trainOptions(4))
	for n, want := range []int{1, 0, 1} { // batches under way after batch n of 2 in an epoch
		take(t, eval)
		take(t, training)
		if len(eval.queue) != want || len(training.queue) != ahead {
			t.Errorf("after batch %d: %d batches under way in evaluation, want %d; %d in training, want %d", n,
				len(eval.queue), want, len(training.queue), ahead)
		}
	}
	eval.Seek(4)
	before := slices.Clone(training.queue)
	training.Seek(12)
	if !slices.Equal(before, training.queue) {
		t.Error("seeking to the next sample dropped what was decoded")
	}
	if rows := take(t, eval); rows[0].Sample != 4 {
		t.Errorf("after Seek(4): %+v", rows)
	}
}

func TestLoaderStrict(t *testing.T) {
	l := newLoader(t, numbered(t, 6, 4), LoaderOptions{Batch: 2, Strict: true, Recipe: cropped(5)})
	take(t, l)
	take(t, l)
	for range 2 {
		_, err := l.Next()
		var bad *BadPicture
		if !errors.As(err, &bad) || bad.Name != "0005" {
			t.Errorf("error %v, want picture 0005's", err)
		}
	}
	l.Seek(0) // does not hang or bring it back
	if _, err := l.Next(); err == nil {
		t.Error("went on after a failure")
	}
}

func TestLoaderSizes(t *testing.T) {
	set := numbered(t, 3)
	set.store.(Memory)[1] = pngOf(t, 7, 5, 1)
	l := newLoader(t, set, LoaderOptions{Batch: 3, Recipe: cropped(5)})
	if rows := take(t, l); rows[1].Label != -1 || rows[0].Label != 0 || rows[2].Label != 2 {
		t.Errorf("a picture of another size should be bad, the others not: %+v", rows)
	}
	if bad := set.Bad(); len(bad) != 1 || !strings.Contains(bad[0].Error(), "is 7x5, most are 6x5") ||
		!errors.As(bad[0], new(*SizeError)) {
		t.Errorf("Bad() is %v", bad)
	}
}

func TestLoaderRefuses(t *testing.T) {
	set := numbered(t, 3)
	ok := LoaderOptions{Batch: 10, Recipe: recipe.Recipe{Height: 5, Width: 6, Channels: 3, Crop: 3}}
	for name, change := range map[string]func(*LoaderOptions){
		"no batch":                     func(o *LoaderOptions) { o.Batch = 0 },
		"two views":                    func(o *LoaderOptions) { o.Views = 2 },
		"views in training":            func(o *LoaderOptions) { o.Views, o.Train = 10, true },
		"batch smaller than the views": func(o *LoaderOptions) { o.Batch, o.Views = 9, 10 },
		"crop larger than the picture": func(o *LoaderOptions) { o.Recipe.Crop = 6 },
		"whole picture, not square":    func(o *LoaderOptions) { o.Recipe.Crop, o.Recipe.Height = 0, 7 },
		"unknown crop":                 func(o *LoaderOptions) { o.Augment.Crop = "middle" },
		"size against preparation":     func(o *LoaderOptions) { o.Recipe.Resize = 6 },
	} {
		o := ok
		change(&o)
		if l, err := NewLoader(t.Context(), set, o); err == nil {
			l.Close()
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewLoader(t.Context(), numbered(t, 0), ok); !errors.Is(err, ErrNoData) {
		t.Errorf("empty set: error %v", err)
	}
	for name, slots := range map[string]Slots{
		"three rows into two": newMemorySlots(2, 2, 6*5*3), "pictures too large": newMemorySlots(2, 10, 6*5*3/10),
		"one slot": newMemorySlots(1, 10, 6*5*3),
	} {
		o := ok
		o.Slots = slots
		if l, err := NewLoader(t.Context(), set, o); err == nil {
			l.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

// Close ends the workers at any time; TestMain looks for those left behind.
func TestLoaderClose(t *testing.T) {
	set := numbered(t, 50)
	for name, use := range map[string]func(*Loader){
		"unused":       func(*Loader) {},
		"decoding":     func(l *Loader) { l.Seek(7) },
		"sought twice": func(l *Loader) { l.Seek(7); l.Seek(3) },
		"used":         func(l *Loader) { take(t, l) },
	} {
		o := trainOptions(8)
		o.NoCache = true
		l := newLoader(t, set, o)
		use(l)
		l.Close()
		l.Close()
		l.Seek(1)
		if _, err := l.Next(); err == nil {
			t.Errorf("%s: a batch came from a closed loader", name)
		}
	}
}

// Two loaders and the statistics share what one of them decoded.
func TestDecodedOnce(t *testing.T) {
	set := numbered(t, 6)
	_, err := Measure(context.Background(), set, recipe.Recipe{Channels: 3}, MeasureOptions{Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range set.store.(Memory) {
		set.store.(Memory)[i] = nil // from here on nothing can be read
	}
	for range 2 {
		for _, r := range take(t, newLoader(t, set, trainOptions(6))) {
			if r.Label < 0 {
				t.Errorf("picture of sample %d was decoded again", r.Sample)
			}
		}
	}
}

// A batch from memory costs no garbage.
func TestLoaderAllocates(t *testing.T) {
	l := newLoader(t, numbered(t, 60), trainOptions(20))
	next := func() {
		if _, err := l.Next(); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		next()
	}
	if n := testing.AllocsPerRun(60, next); n > 1 {
		t.Errorf("%g allocations a batch", n)
	}
}

func BenchmarkLoader(b *testing.B) {
	src := open(b, sharedtest.Data(b, "cifar10-test.tar"), 0, 1)
	l, err := NewLoader(b.Context(), src.Train, LoaderOptions{
		Batch: 128, Recipe: recipe.Recipe{Height: 32, Width: 32, Channels: 3, Crop: 28}, Train: true,
		Augment: config.Augment{Flip: true},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	pictures := 0
	for b.Loop() {
		info, err := l.Next()
		if err != nil {
			b.Fatal(err)
		}
		pictures += info.Rows
	}
	b.ReportMetric(float64(pictures)/b.Elapsed().Seconds(), "pictures/s")
}
