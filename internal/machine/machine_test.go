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
	for m, want := range map[Memory]int64{
		{}: 0, {Total: 8}: 8, {Total: 8, Limit: 3}: 3, {Total: 8, Limit: 9}: 8, {Limit: 3}: 3,
	} {
		if got := m.Usable(); got != want {
			t.Errorf("%+v: %d, want %d", m, got, want)
		}
	}
}
