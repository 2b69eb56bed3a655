package machine

import (
	"runtime"
	"testing"
)

func TestLook(t *testing.T) {
	f := Look()
	if f.Platform != runtime.GOOS+"/"+runtime.GOARCH || f.Cores.Affinity < 1 || f.Cores.GOMAXPROCS < 1 {
		t.Errorf("%+v", f)
	}
	if runtime.GOOS == "linux" && (f.Kernel == "" || f.Memory.Total < 1<<20 || f.Cores.Machine < f.Cores.Affinity ||
		len(f.Disks) == 0 || f.Disks[0].Free < 1) {
		t.Errorf("%+v", f)
	}
}

func TestField(t *testing.T) {
	text := "processor\t: 0\nmodel name\t: AMD EPYC\nMemTotal:       24689764 kB\n"
	if got := field(text, "model name", ":"); got != "AMD EPYC" {
		t.Errorf("model %q", got)
	}
	if got := field("PRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME", "="); got != "Debian 12" {
		t.Errorf("system %q", got)
	}
	if got := kilobytes(text, "MemTotal"); got != 24689764<<10 {
		t.Errorf("memory %d", got)
	}
	if got := kilobytes(text, "MemAvailable"); got != 0 {
		t.Errorf("memory that is not told: %d", got)
	}
}

func TestUsable(t *testing.T) {
	for _, c := range []struct {
		m    Memory
		want int64
	}{
		{Memory{}, 0},
		{Memory{Total: 8}, 8},
		{Memory{Total: 8, Limits: []Limit{{Resident, "group", 3, 2}}}, 3},
		{Memory{Total: 8, Limits: []Limit{{Resident, "group", 9, 2}}}, 8},
		{Memory{Limits: []Limit{{Resident, "group", 3, 1}}}, 3},
		{Memory{Total: 8, Limits: []Limit{{Resident, "group", 6, 1}, {Mapped, "ulimit", 9, 4}}}, 5},
		{Memory{Total: 8, Limits: []Limit{{Mapped, "ulimit", 3, 4}}}, 0},
	} {
		if got := c.m.Usable(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.m, got, c.want)
		}
	}
}

// TestTightest: what leaves least, each kind with what the process takes anyway.
func TestTightest(t *testing.T) {
	const g = 1 << 30
	m := Memory{Limits: []Limit{
		{Resident, "machine", 8 * g, g}, {Mapped, "as", 5 * g, 3 * g}, {Resident, "group", 3 * g, 0},
	}}
	l := m.Tightest()
	if l.From != "as" || l.Left() != 2*g || l.Spare() != 2*g-allowance[Mapped] {
		t.Errorf("%+v", l)
	}
	if (Memory{}).Tightest() != nil {
		t.Error("a limit out of nothing")
	}
	if full := (Limit{Resident, "group", g, 2 * g}); full.Left() != 0 || full.Spare() != 0 {
		t.Errorf("%d left", full.Left())
	}
}
