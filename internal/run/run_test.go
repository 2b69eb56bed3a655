//go:build linux || darwin

package run

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	if _, err := Newest(files.OS); !errors.Is(err, ErrNoRun) {
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
	if got, err := Newest(files.OS); err != nil || got != "runs/train10/checkpoints/best.safetensors" {
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
	if got, err := Newest(files.OS); err != nil || got != "runs/mine/checkpoints/best.safetensors" {
		t.Errorf("newest best is %s (%v), want that of mine", got, err)
	}
	// A run that had nothing to validate on has no best checkpoint: its last one is used.
	touch(t, "runs/train12/checkpoints/last.safetensors", at(40))
	if got, err := Newest(files.OS); err != nil || got != "runs/train12/checkpoints/last.safetensors" {
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
