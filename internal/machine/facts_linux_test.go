package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Lines of mountinfo.
const (
	unified = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	hybrid  = "31 24 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"32 31 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
		"33 31 0:29 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n" +
		"34 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)

// TestGroupLimits: each limit on the way up is told, in both versions, also in containers; "max" and version 1's
// 2^63 less a page are none.
func TestGroupLimits(t *testing.T) {
	const v2, v1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"
	for _, c := range []struct {
		name, self, mounts string
		files              map[string]string
		want               []string // "from: bytes used"
	}{
		{"no limit", "0::/user/job\n", unified, map[string]string{
			v2 + "/user/job/memory.max": "max\n", v2 + "/user/job/memory.high": "max\n",
		}, nil},
		{"version 2, own and above", "0::/user/job\n", unified, map[string]string{
			v2 + "/user/job/memory.max": "500\n", v2 + "/user/job/memory.current": "90\n",
			v2 + "/user/job/memory.stat": "anon 60\nfile 30\ninactive_file 20\nactive_file 10\n",
			v2 + "/user/memory.high":     "400\n", v2 + "/user/memory.current": "100\n",
		}, []string{"memory.max: /user/job: 500 60", "memory.high: /user: 400 100"}},
		{"a container's own root", "0::/\n", unified, map[string]string{
			v2 + "/memory.max": "700\n", v2 + "/memory.current": "7\n",
		}, []string{"memory.max: /: 700 7"}},
		{
			"a container that sees its path outside", "0::/kube/pod1/c1\n",
			strings.Replace(unified, " / /sys", " /kube/pod1 /sys", 1),
			map[string]string{
				v2 + "/c1/memory.max": "600\n", v2 + "/memory.max": "800\n",
			},
			[]string{"memory.max: /c1: 600 0", "memory.max: /: 800 0"},
		},
		{
			"a path from another point of view", "0::/../other\n",
			strings.Replace(unified, " / /sys", " /kube/pod1 /sys", 1),
			map[string]string{v2 + "/memory.max": "800\n"},
			[]string{"memory.max: /: 800 0"},
		},
		{"version 1", "4:memory:/job\n3:cpu:/x\n0::/\n", hybrid, map[string]string{
			v1 + "/job/memory.limit_in_bytes": "500\n", v1 + "/job/memory.usage_in_bytes": "300\n",
			v1 + "/job/memory.stat":       "cache 200\ntotal_inactive_file 150\ntotal_active_file 50\n",
			v1 + "/memory.limit_in_bytes": "9223372036854771712\n",
		}, []string{"memory.limit_in_bytes: /job: 500 100"}},
		{
			"version 1 in a container", "4:cpu,memory:/docker/abc\n",
			strings.NewReplacer("0:29 / ", "0:29 /docker/abc ", "rw,memory", "rw,cpu,memory").Replace(hybrid),
			map[string]string{v1 + "/memory.limit_in_bytes": "900\n"},
			[]string{"memory.limit_in_bytes: /: 900 0"},
		},
		{"both", "4:memory:/a\n0::/b\n", hybrid, map[string]string{
			v1 + "/a/memory.limit_in_bytes": "500\n", "sys/fs/cgroup/unified/b/memory.max": "400\n",
		}, []string{"memory.limit_in_bytes: /a: 500 0", "memory.max: /b: 400 0"}},
		{
			"blanks in a path", "0::/my job\n", strings.Replace(unified, "/sys/fs/cgroup", `/sys/fs/c\040g`, 1),
			map[string]string{"sys/fs/c g/my job/memory.max": "5\n"},
			[]string{"memory.max: /my job: 5 0"},
		},
		{"nothing mounted", "4:memory:/a\n0::/b\n", "", nil, nil},
		{"nonsense", "x\n::\n0::\n", unified, map[string]string{v2 + "/memory.max": "-1\n"}, nil},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			at := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, l := range groupLimits(root, c.self, c.mounts) {
			from := strings.Replace(l.From, " of the control group", ":", 1)
			got = append(got, fmt.Sprintf("%s: %d %d", from, l.Bytes, l.Used))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestResourceLimits: what is set for this process shows, with what it has mapped.
func TestResourceLimits(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &old); err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = min(old.Max, 1<<40)
	if err := unix.Setrlimit(unix.RLIMIT_AS, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_AS, &old); err != nil {
			t.Error(err)
		}
	}()
	for _, l := range MemoryNow().Limits {
		if l.Of == Mapped && l.Bytes == int64(limit.Cur) && l.Used > 1<<20 {
			return
		}
	}
	t.Errorf("%+v", MemoryNow().Limits)
}
