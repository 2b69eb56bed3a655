//go:build linux || darwin

package run

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

// The test binary runs itself as a trainer that opens the run folder in this variable, and hangs.
const trainerEnv = "RUN_TEST_TRAINER"

func TestMain(m *testing.M) {
	if path := os.Getenv(trainerEnv); path != "" {
		d, err := Open(files.OS, path)
		fmt.Println("opened:", err)
		time.Sleep(time.Hour) // until it is killed; select {} would be a deadlock, which ends the process
		runtime.KeepAlive(d)
	}
	os.Exit(m.Run())
}

func create(t *testing.T, out string) *Dir {
	t.Helper()
	d, err := Create(files.OS, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func touch(t *testing.T, path string, written time.Time) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	err = errors.Join(err, os.WriteFile(path, nil, 0o644), os.Chtimes(path, written, written))
	if err != nil {
		t.Fatal(err)
	}
}

// tree lists all that is in a folder, "." for nothing.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		all = append(all, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func wantTree(t *testing.T, dir, want string) {
	t.Helper()
	if got := tree(t, dir); got != want {
		t.Errorf("folder holds %q, want %q", got, want)
	}
}

func TestNumbers(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, want := range []string{"runs/train", "runs/train2", "runs/train3"} {
		if d := create(t, ""); d.Path() != want {
			t.Errorf("made %s, want %s", d.Path(), want)
		}
	}
	// Gaps are not filled: the highest number is the newest run. What only looks like a number is nobody's.
	for _, name := range []string{"train7", "train08", "train-9", "train1", "training", "trainx", "other"} {
		if err := os.MkdirAll(filepath.Join("runs", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if d := create(t, ""); d.Path() != "runs/train8" {
		t.Errorf("made %s, want runs/train8", d.Path())
	}
}

// A new run's folder survives a power failure, and so do those above that were made for it; so does one made again.
func TestFoldersAreSynced(t *testing.T) {
	synced := func(f *filestest.FS) (all []string) {
		for _, c := range f.Calls() {
			if c.Op == "syncdir" {
				all = append(all, c.Name)
			}
		}
		return all
	}
	for out, want := range map[string][]string{"": {".", "runs"}, "a/b": {".", "a"}} {
		t.Chdir(t.TempDir())
		f := filestest.New(files.OS)
		d, err := Create(f, out)
		if err != nil {
			t.Fatal(err)
		}
		if got := synced(f); !slices.Equal(got, want) {
			t.Errorf("%q: synced %v, want %v", out, got, want)
		}
		if err := os.RemoveAll(want[1]); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Keep(); err != nil {
			t.Fatal(err)
		}
		if got := synced(f)[2:]; !slices.Equal(got, want) {
			t.Errorf("%q: made again: synced %v, want %v", out, got, want)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestManyAtOnceGetNumbersOfTheirOwn(t *testing.T) {
	t.Chdir(t.TempDir())
	var all sync.WaitGroup
	var taken sync.Map
	for range 16 {
		all.Go(func() {
			d, err := Create(files.OS, "")
			if err != nil {
				t.Error(err)
				return
			}
			if _, twice := taken.LoadOrStore(d.Path(), d); twice {
				t.Errorf("%s was given twice", d.Path())
			}
		})
	}
	all.Wait()
	for i := range 16 {
		path := "runs/train" + strconv.Itoa(i+1)
		if i == 0 {
			path = "runs/train"
		}
		if d, ok := taken.Load(path); !ok {
			t.Errorf("nobody got %s", path)
		} else if err := d.(*Dir).Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	d := create(t, "a/b")
	for got, want := range map[string]string{
		d.Path(): "a/b", d.Config(): "a/b/config.yaml", d.Metrics(): "a/b/metrics.jsonl", d.Curves(): "a/b/curves.png",
		d.Checkpoint(Last): "a/b/checkpoints/last.safetensors", d.Checkpoint(Best): "a/b/checkpoints/best.safetensors",
	} {
		if got != want {
			t.Errorf("path %s, want %s", got, want)
		}
	}
	wantTree(t, ".", ". a a/b a/b/checkpoints a/b/lock")
	touch(t, d.Checkpoint(Last), time.Now())
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	wantTree(t, ".", ". a a/b a/b/checkpoints a/b/checkpoints/last.safetensors")
}

// A run that came to nothing leaves nothing.
func TestUntouchedFolderGoes(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := create(t, "").Close(); err != nil {
		t.Fatal(err)
	}
	if err := create(t, "a/b/c").Close(); err != nil {
		t.Fatal(err)
	}
	wantTree(t, ".", ".")
	if err := os.Mkdir("mine", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := create(t, "mine").Close(); err != nil {
		t.Fatal(err)
	}
	wantTree(t, ".", ". mine")
	d := create(t, "")
	touch(t, d.Config(), time.Now())
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if !exists(files.OS, "runs/train/config.yaml") {
		t.Error("a folder with a file in it was removed")
	}
}

func TestOutThatIsTaken(t *testing.T) {
	t.Chdir(t.TempDir())
	touch(t, "photos/cat.jpg", time.Now())
	touch(t, "old/checkpoints/last.safetensors", time.Now())
	touch(t, "file", time.Now())
	before := tree(t, ".")
	for out, want := range map[string]string{
		"photos":    "photos: the folder is not empty (it holds cat.jpg)",
		"old":       "old: there is a run in this folder",
		"file":      "cannot make the run folder file: mkdir file: a file is in the way",
		"file/deep": "cannot make the run folder file/deep: ",
	} {
		_, err := Create(files.OS, out)
		taken, folder := (*NotEmptyError)(nil), (*FolderError)(nil)
		told := errors.As(err, &taken) && taken.Path == out && taken.Run == (out == "old") ||
			errors.As(err, &folder) && folder.Path == out && !folder.There
		if !told || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("--out %s: error %v (%[2]T), want %q", out, err, want)
		}
	}
	wantTree(t, ".", before)
}

// What killed writers left is no obstacle to a new run, and goes; a run that never had a checkpoint is one, and is
// called that; what is not a run's is never touched.
func TestOutWithLeftovers(t *testing.T) {
	t.Chdir(t.TempDir())
	left := []string{
		"lock", ".config.yaml.tmp", ".metrics.jsonl.12.0.tmp", ".curves.png.tmp", "checkpoints/.last.safetensors.tmp",
		"checkpoints/.best.safetensors.7.1.tmp",
	}
	for _, name := range left {
		touch(t, filepath.Join("a", name), time.Now())
	}
	d, err := Create(files.OS, "a")
	if err != nil {
		t.Fatal(err)
	}
	wantTree(t, "a", ". checkpoints lock")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		more  []string
		begun bool
	}{
		{[]string{"config.yaml"}, true},
		{[]string{"config.yaml", "metrics.jsonl", "events.out.tfevents.1795994996.vm.24066.0", "curves.png"}, true},
		{[]string{"config.yaml", "notes"}, false},
		{[]string{"config.yaml", "checkpoints/mine"}, false},
		{[]string{"metrics.jsonl"}, false},
		{[]string{".notes.tmp"}, false},
		{[]string{"checkpoints/.mine.tmp"}, false},
	} {
		t.Chdir(t.TempDir())
		for _, name := range append(left, c.more...) {
			touch(t, filepath.Join("a", name), time.Now())
		}
		before := tree(t, ".")
		_, err := Create(files.OS, "a")
		if taken := (*NotEmptyError)(nil); !errors.As(err, &taken) || taken.Begun != c.begun || taken.Run {
			t.Errorf("%v: error %v", c.more, err)
		} else if told := strings.Contains(err.Error(), "before its first checkpoint"); told != c.begun {
			t.Errorf("%v: error %v", c.more, err)
		}
		if after := tree(t, "."); after != strings.Replace(before, " a/lock", "", 1) && after != before {
			t.Errorf("%v: %s became %s", c.more, before, after)
		}
	}
}

// Whichever call fails, a run that could not begin leaves nothing, not even folders above it.
func TestCreateFailsAtEachCall(t *testing.T) {
	for _, out := range []string{"", "a/b/c", "mine"} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
			filestest.EachCall(t, cause, func(t *testing.T, fsys *filestest.FS) {
				t.Chdir(t.TempDir())
				if err := os.Mkdir("mine", 0o755); err != nil {
					t.Fatal(err)
				}
				d, err := Create(fsys, out)
				fault := fsys.Fault()
				if fault == nil {
					fsys.Fail("", 0, nil) // Close, which comes now, is to work
				}
				switch {
				case err == nil && (fault == nil || fault.Op == "lstat"): // lockfile can do without
					if err := d.Close(); err != nil {
						t.Error(err)
					}
				case err == nil, !errors.Is(err, cause):
					t.Errorf("--out %q, %v fails: error %v", out, fault, err)
				}
				wantTree(t, ".", ". mine")
			})
		}
	}
}

// Where files cannot be locked a run goes on: it says so once, and leaves no lock. What killed writers left under names
// of their own goes when the run is opened again.
func TestNoLocks(t *testing.T) {
	t.Chdir(t.TempDir())
	weak := func(d *Dir, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		w := d.Weaknesses()
		if len(w) != 1 || !w[0].Lock || w[0].Path != "a" || !errors.Is(w[0].Err, syscall.ENOLCK) {
			t.Errorf("weaknesses %v", w)
		}
		if more := d.Weaknesses(); len(more) > 0 {
			t.Errorf("told again: %v", more)
		}
	}
	without := func() *filestest.FS {
		disk := filestest.New(files.OS)
		disk.Fail("lock", 0, syscall.ENOLCK)
		return disk
	}
	d, err := Create(without(), "a")
	weak(d, err)
	wantTree(t, ".", ". a a/checkpoints")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantTree(t, ".", ".")
	touch(t, "a/checkpoints/last.safetensors", time.Now())
	for _, name := range []string{".last.safetensors.7.0.tmp", ".last.safetensors.tmp", ".mine.7.0.tmp"} {
		touch(t, filepath.Join("a/checkpoints", name), time.Now())
	}
	d, err = Open(without(), "a")
	weak(d, err)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	const kept = ". checkpoints checkpoints/.mine.7.0.tmp " +
		"checkpoints/last.safetensors"
	wantTree(t, "a", kept)
}

// What stands in the place of a file that a run would write is refused when the run is opened, before hours go by.
func TestInTheWay(t *testing.T) {
	for _, name := range []string{
		"lock", "config.yaml", "metrics.jsonl", "curves.png", ".curves.png.tmp", "checkpoints/last.safetensors",
		"checkpoints/best.safetensors", "checkpoints/.best.safetensors.tmp",
	} {
		t.Chdir(t.TempDir())
		touch(t, "a/checkpoints/last.safetensors", time.Now())
		touch(t, "precious", time.Now())
		path := filepath.Join("a", name)
		_ = os.Remove(path)
		if err := os.Symlink("../precious", path); err != nil {
			t.Fatal(err)
		}
		_, err := Open(files.OS, "a")
		var other *files.InTheWay
		if !errors.As(err, &other) || other.Path != path || other.Link != "../precious" {
			t.Errorf("%s: error %v", name, err)
		}
		if exists(files.OS, "a/lock") != (name == "lock") {
			t.Errorf("%s: the lock was left", name)
		}
	}
}

func TestUnwritableFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	t.Chdir(t.TempDir())
	touch(t, "old/checkpoints/last.safetensors", time.Now())
	if err := errors.Join(os.Chmod("old", 0o555), os.Chmod(".", 0o555)); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{"", "new", "new/er"} {
		if _, err := Create(files.OS, out); !errors.Is(err, os.ErrPermission) ||
			!strings.HasPrefix(err.Error(), "cannot make the run folder") {
			t.Errorf("--out %q: error %v", out, err)
		}
	}
	if _, err := Open(files.OS, "old"); !errors.Is(err, os.ErrPermission) ||
		!strings.HasPrefix(err.Error(), "cannot write to the run folder") {
		t.Errorf("--resume: error %v", err)
	}
	if err := errors.Join(os.Chmod("old", 0o755), os.Chmod(".", 0o755)); err != nil { // so that they can be removed
		t.Fatal(err)
	}
	wantTree(t, ".", ". old old/checkpoints old/checkpoints/last.safetensors")
}

func TestSecondTrainer(t *testing.T) {
	t.Chdir(t.TempDir())
	d := create(t, "a")
	check := func(when string, err error, pid int) {
		t.Helper()
		var locked *LockedError
		if !errors.As(err, &locked) || locked.Path != "a" || locked.PID != pid ||
			!strings.Contains(err.Error(), fmt.Sprintf("process %d is training", pid)) {
			t.Errorf("%s: error %v, want locked by %d", when, err, pid)
		}
	}
	_, err := Open(files.OS, "a")
	check("--resume before the first checkpoint", err, os.Getpid())
	touch(t, d.Checkpoint(Last), time.Now())
	_, err = Open(files.OS, "a")
	check("--resume", err, os.Getpid())
	_, err = Create(files.OS, "a")
	check("--out", err, os.Getpid())
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), trainerEnv+"=a")
	out, err := other.StdoutPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "opened: <nil>\n" {
		t.Fatalf("other process: %q, %v", line, err)
	}
	_, err = Open(files.OS, "a")
	check("--resume in another process", err, other.Process.Pid)
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	other.Wait() //nolint:errcheck // killed
	if !exists(files.OS, "a/lock") {
		t.Error("the killed process left no lock file: nothing is tested")
	}
	d, err = Open(files.OS, "a")
	if err != nil {
		t.Fatalf("after the trainer was killed: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantTree(t, "a", ". checkpoints checkpoints/last.safetensors")
}

// A run killed before it wrote anything leaves a folder that --out may take again.
func TestOutWithStaleLock(t *testing.T) {
	t.Chdir(t.TempDir())
	touch(t, "a/lock", time.Now())
	d := create(t, "a")
	if pid := holder(files.OS, "a/lock"); pid != os.Getpid() {
		t.Errorf("lock holds pid %d, want %d", pid, os.Getpid())
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantTree(t, "a", ".")
	touch(t, "b/lock", time.Now())
	touch(t, "b/notes", time.Now())
	if _, err := Create(files.OS, "b"); err == nil || !strings.Contains(err.Error(), "holds notes") {
		t.Errorf("error %v", err)
	}
}

func TestOpenWhatIsNoRun(t *testing.T) {
	t.Chdir(t.TempDir())
	touch(t, "photos/cat.jpg", time.Now())
	touch(t, "stale/lock", time.Now())
	for path, want := range map[string]string{
		"nowhere":        "no run at nowhere: there is no such folder",
		"photos":         "no run to go on with at photos: it holds no checkpoints/last.safetensors",
		"stale":          "no run to go on with at stale",
		"photos/cat.jpg": "no run at photos/cat.jpg: a run is a folder",
		"last":           "no run under runs with a checkpoint last.safetensors",
	} {
		if _, err := Open(files.OS, path); !errors.Is(err, ErrNoRun) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("--resume %s: error %v, want %q", path, err, want)
		}
	}
	if _, err := NewestFirst(files.OS); !errors.Is(err, ErrNoRun) {
		t.Errorf("newest of nothing: %v", err)
	}
	wantTree(t, "photos", ". cat.jpg")
}

func TestNewest(t *testing.T) {
	t.Chdir(t.TempDir())
	at := func(minute int) time.Time { return time.Date(2012, 12, 3, 10, minute, 0, 0, time.UTC) }
	touch(t, "runs/train/checkpoints/best.safetensors", at(30))
	touch(t, "runs/train/checkpoints/last.safetensors", at(30))
	touch(t, "runs/train2/checkpoints/best.safetensors", at(10))
	touch(t, "runs/train2/checkpoints/last.safetensors", at(50)) // resumed, without getting better
	touch(t, "runs/train10/checkpoints/best.safetensors", at(30))
	touch(t, "runs/mine/checkpoints/best.safetensors", at(20))
	touch(t, "runs/train11/config.yaml", at(59))
	touch(t, "runs/notes.txt", at(59))
	if got, err := NewestFirst(files.OS); err != nil || got[0] != "runs/train10/checkpoints/best.safetensors" {
		t.Errorf("newest best is %s (%v), want that of train10", got, err)
	}
	d, err := Open(files.OS, "last")
	if err != nil || d.Path() != "runs/train2" {
		t.Fatalf("last run is %v (%v), want runs/train2", d, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	touch(t, "runs/mine/checkpoints/best.safetensors", at(31))
	if got, err := NewestFirst(files.OS); err != nil || got[0] != "runs/mine/checkpoints/best.safetensors" {
		t.Errorf("newest best is %s (%v), want that of mine", got, err)
	}
	want := []string{
		"runs/mine/checkpoints/best.safetensors", "runs/train10/checkpoints/best.safetensors",
		"runs/train/checkpoints/best.safetensors", "runs/train2/checkpoints/best.safetensors",
	}
	if got, err := NewestFirst(files.OS); err != nil || !slices.Equal(got, want) {
		t.Errorf("newest first: %q (%v), want %q", got, err, want)
	}
	// A run that had nothing to validate on has no best checkpoint: its last one is used.
	touch(t, "runs/train12/checkpoints/last.safetensors", at(40))
	if got, err := NewestFirst(files.OS); err != nil || got[0] != "runs/train12/checkpoints/last.safetensors" {
		t.Errorf("newest is %s (%v), want the last one of train12", got, err)
	}
	for path, want := range map[string]string{
		"runs/train":   "runs/train/checkpoints/best.safetensors",
		"runs/train12": "runs/train12/checkpoints/last.safetensors", "runs/train11": "", "nowhere": "",
		"runs/notes.txt": "",
	} {
		if got := ToUse(files.OS, path); got != want {
			t.Errorf("to use of %s: %q, want %q", path, got, want)
		}
	}
}

// What somebody removes of a run that is written, the whole folder too, is made again and locked again.
func TestKeep(t *testing.T) {
	for what, c := range map[string]struct {
		remove func(t *testing.T, d *Dir)
		want   []string
	}{
		"nothing":     {func(*testing.T, *Dir) {}, nil},
		"lock":        {func(t *testing.T, d *Dir) { mustRemove(t, d.Path(), "lock") }, []string{"lock"}},
		"checkpoints": {func(t *testing.T, d *Dir) { mustRemove(t, d.Path(), "checkpoints") }, []string{"checkpoints"}},
		"all":         {func(t *testing.T, d *Dir) { mustRemove(t, d.Path()) }, []string{".", "lock", "checkpoints"}},
		"all, and an empty folder is made": {func(t *testing.T, d *Dir) {
			mustRemove(t, d.Path())
			if err := os.Mkdir(d.Path(), 0o777); err != nil {
				t.Fatal(err)
			}
		}, []string{".", "lock", "checkpoints"}},
	} {
		d, err := Create(files.OS, filepath.Join(t.TempDir(), "deep", "run"))
		if err != nil {
			t.Fatal(err)
		}
		c.remove(t, d)
		var want []string
		for _, name := range c.want {
			want = append(want, filepath.Join(d.Path(), name))
		}
		if made, err := d.Keep(); err != nil || !slices.Equal(made, want) {
			t.Errorf("%s: made %v, %v, want %v", what, made, err, want)
		}
		if made, err := d.Keep(); err != nil || made != nil {
			t.Errorf("%s: made again %v, %v", what, made, err)
		}
		if _, err := Open(files.OS, d.Path()); !errors.As(err, new(*LockedError)) {
			t.Errorf("%s: a second trainer got %v", what, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(d.Path()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the empty folder is left: %v", what, err)
		}
	}
}

func mustRemove(t *testing.T, path ...string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(path...)); err != nil {
		t.Fatal(err)
	}
}

// A folder that is another's by now is left to it, lock and all.
func TestKeepOffAnothersFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	d, err := Create(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	mustRemove(t, path)
	other, err := Create(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Keep(); !errors.As(err, new(*LockedError)) {
		t.Errorf("beside another trainer: %v", err)
	}
	if err := os.WriteFile(other.Checkpoint(Last), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = d.Keep()
	if !errors.As(err, new(*ReplacedError)) || !strings.Contains(err.Error(), "it holds checkpoints") {
		t.Errorf("after another run: %v", err)
	}
	third, err := Open(files.OS, path)
	if err != nil {
		t.Fatalf("what Keep left: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(files.OS, path); !errors.As(err, new(*LockedError)) {
		t.Errorf("the end of the first run took the third's lock: %v", err)
	}
	if err := third.Close(); err != nil {
		t.Error(err)
	}
}

func TestKeepFailsAtEachCall(t *testing.T) {
	filestest.EachCall(t, syscall.EIO, func(t *testing.T, fsys *filestest.FS) {
		d, err := Create(files.OS, filepath.Join(t.TempDir(), "run"))
		if err != nil {
			t.Fatal(err)
		}
		mustRemove(t, d.Path())
		d.fsys = fsys
		_, err = d.Keep()
		fault := fsys.Fault()
		if (fault != nil) != errors.Is(err, syscall.EIO) && fault.Op != "lstat" { // without it nothing is worse
			t.Errorf("%v fails: error %v", fault, err)
		}
		if fault == nil {
			fsys.Fail("", 0, nil) // what comes now is to work
		}
		if _, err := d.Keep(); err != nil {
			t.Errorf("%v failed, and again: %v", fault, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestOpenTidies: what killed writers left under temporary names goes, whatever the run writes again.
func TestOpenTidies(t *testing.T) {
	dir := t.TempDir()
	d := Dir{path: dir}
	touch(t, d.Checkpoint(Last), time.Now())
	left := []string{
		filepath.Join(dir, ".curves.png.tmp"), filepath.Join(dir, ".config.yaml.tmp"),
		filepath.Join(dir, "checkpoints", ".best.safetensors.tmp"), filepath.Join(dir, ".metrics.jsonl.12.0.tmp"),
	}
	others := filepath.Join(dir, ".notes.tmp")
	for _, name := range append(left, others) {
		touch(t, name, time.Now())
	}
	opened, err := Open(files.OS, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range left {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there (%v)", name, err)
		}
	}
	if _, err := os.Lstat(others); err != nil {
		t.Errorf("somebody else's: %v", err)
	}
}

// TestOpenFailsAtEachCall: the error is the file system's, and not that there is no run.
func TestOpenFailsAtEachCall(t *testing.T) {
	filestest.EachCall(t, syscall.ESTALE, func(t *testing.T, fsys *filestest.FS) {
		dir := t.TempDir()
		d := Dir{path: dir}
		touch(t, d.Checkpoint(Last), time.Now())
		opened, err := Open(fsys, dir)
		if err != nil && (errors.Is(err, ErrNoRun) || !errors.Is(err, syscall.ESTALE)) {
			t.Errorf("%v failed: error %v", fsys.Fault(), err)
		}
		if opened != nil {
			_ = opened.Close() // the one failure may have been here
		}
	})
}

// guarded is a file system where nothing can be written in some folders.
type guarded struct {
	files.FS
	closed string
}

func (g guarded) CanWrite(dir string) error {
	if filepath.Clean(dir) == filepath.Clean(g.closed) {
		return &fs.PathError{Op: "write to", Path: dir, Err: fs.ErrPermission}
	}
	return nil
}

// TestWould: what is only asked for is named as it would be, refused as it would be, and left as it is.
func TestWould(t *testing.T) {
	t.Chdir(t.TempDir())
	name := func(d *Dir, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		return d.Path()
	}
	if got := name(WouldCreate(files.OS, "")); got != "runs/train" {
		t.Errorf("the first run is %s", got)
	}
	if got := name(WouldCreate(files.OS, "a/b/")); got != "a/b" {
		t.Errorf("a new folder is %s", got)
	}
	wantTree(t, ".", ".")
	d := create(t, "")
	touch(t, d.Checkpoint(Last), time.Now())
	before := tree(t, ".")
	for _, call := range []func() (*Dir, error){
		func() (*Dir, error) { return WouldOpen(files.OS, Last) },
		func() (*Dir, error) { return WouldCreate(files.OS, d.Path()) },
	} {
		var locked *LockedError
		if _, err := call(); !errors.As(err, &locked) || locked.PID != os.Getpid() {
			t.Errorf("a run under way: %v", err)
		}
	}
	wantTree(t, ".", before)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := name(WouldOpen(files.OS, Last)); got != "runs/train" {
		t.Errorf("the run to go on with is %s", got)
	}
	if got := name(WouldCreate(files.OS, "")); got != "runs/train2" {
		t.Errorf("the next run is %s", got)
	}
	var taken *NotEmptyError
	if _, err := WouldCreate(files.OS, "runs/train"); !errors.As(err, &taken) || !taken.Run {
		t.Errorf("a folder with a run: %v", err)
	}
	for _, call := range []func(g guarded) (*Dir, error){
		func(g guarded) (*Dir, error) { g.closed = "."; return WouldCreate(g, "new/run") },
		func(g guarded) (*Dir, error) { g.closed = "runs"; return WouldCreate(g, "") },
		func(g guarded) (*Dir, error) { g.closed = "runs/train"; return WouldOpen(g, Last) },
		func(g guarded) (*Dir, error) { g.closed = "runs/train/checkpoints"; return WouldOpen(g, Last) },
	} {
		var refused *FolderError
		if _, err := call(guarded{FS: files.OS}); !errors.As(err, &refused) || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a folder that may not be written to: %v", err)
		}
	}
}
