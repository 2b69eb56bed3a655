package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/device"
	"alexnet/internal/fetch"
	"alexnet/internal/files"
	"alexnet/internal/gpu"
	"alexnet/internal/gpu/dynlib"
	"alexnet/internal/infer"
	"alexnet/internal/interop"
	"alexnet/internal/model"
	"alexnet/internal/neighbors"
	"alexnet/internal/onnx"
	"alexnet/internal/prepare"
	"alexnet/internal/pth"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/serve"
	"alexnet/internal/tensor"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// told is an error with what it leads to.
type told struct {
	err  error
	code int
	next []string // parts of the next step
}

// tellings are errors of all types, one or more of each.
func tellings() []told {
	return slices.Concat(tellingsOfUsage(), tellingsOfData(), tellingsOfFetching(), tellingsOfPreparing(),
		tellingsOfFiles(), tellingsOfRuns(), tellingsOfTraining())
}

func tellingsOfUsage() []told {
	return []told{
		{&config.Error{Msg: "is wrong"}, exitUsage, []string{"alexnet summary"}},
		{&config.Error{Source: "my.yaml", Line: 3}, exitUsage, []string{"correct line 3 of my.yaml"}},
		{&config.Error{Source: "my.yaml"}, exitUsage, []string{"correct my.yaml, or name another: ", "torchvision"}},
		{
			&config.Error{Source: "--batch 0", Override: true}, exitUsage,
			[]string{"correct --batch 0, or omit it"},
		},
		{
			&config.ClassesError{Model: 10, Data: 7}, exitUsage,
			[]string{"--set model.classes=0 lets it follow the data"},
		},
		{
			&model.DevicesError{Devices: 2, Columns: 1}, exitUsage,
			[]string{"give one device, or a net of 2 columns (alexnet, cifar10, demo)"},
		},
		{&model.DevicesError{Devices: 3, Columns: 2}, exitUsage, []string{"give one device or 2"}},
		{&model.DevicesError{Devices: 2, Columns: 2}, exitUsage, []string{"give one device"}},
		{
			&device.MemoryError{Rows: 128, Fits: 64}, exitFailed,
			[]string{"--batch 64 (train.batch), or other GPUs: alexnet doctor"},
		},
		{
			&device.MemoryError{Rows: 128, Fits: 8, Limit: "RLIMIT_AS"}, exitFailed,
			[]string{"--batch 8 (train.batch), or a higher limit: alexnet doctor"},
		},
		{&device.MemoryError{Rows: 128, Limit: "RLIMIT_AS"}, exitFailed, []string{"a higher limit", "a smaller net"}},
		{&device.MemoryError{Limit: "RLIMIT_AS"}, exitFailed, []string{"a higher limit: alexnet doctor"}},
		{&device.MemoryError{Rows: 128}, exitFailed, []string{"other GPUs: alexnet doctor"}},
		{&device.BatchError{Rows: 1 << 20, Largest: 1 << 19}, exitFailed, []string{"--batch 524288 (train.batch)"}},
		{&device.Int8Error{Devices: "GPUs"}, exitFailed, []string{"omit --int8, or --device cpu"}},
		{
			&dynlib.Error{What: "no CUDA driver", Err: errors.New("no file"), Advice: "install it"}, exitNoGPU,
			[]string{"install it"},
		},
		{
			&noGPU{"0", &gpu.Unavailable{Err: &dynlib.Error{Err: errors.New("no file"), Advice: "install it"}}},
			exitNoGPU,
			[]string{"install it; or omit --gpus"},
		},
		{&noGPU{"0", &gpu.Unavailable{Err: errors.New("none is there")}}, exitNoGPU, []string{"omit --gpus, or"}},
		{&cpu.Unavailable{Reason: "none", Advice: "install it"}, exitFailed, []string{"install it"}},
		{&device.PrecisionError{}, exitUsage, []string{"--precision fp32 (train.precision), in which"}},
		{&serve.BadAddress{Addr: "x", Reason: "y"}, exitUsage, []string{"--live=HOST:PORT"}},
		{&serve.Unusable{Addr: "x", Err: syscall.EADDRINUSE}, exitFailed, []string{"--live alone", "another address"}},
	}
}

func tellingsOfPreparing() []told {
	return []told{
		{&prepare.Exists{Out: "set"}, exitFailed, []string{"alexnet data info set shows"}},
		{&prepare.Inside{Out: "a/b", Source: "a"}, exitFailed, []string{"name a folder elsewhere"}},
		{&prepare.Busy{Out: "set"}, exitLocked, []string{"wait until it ends"}},
		{
			&prepare.Differs{Partial: "set.partial", What: []string{"by crop"}}, exitFailed,
			[]string{"the command that began it goes on with it; or begin anew: rm -r set.partial"},
		},
		{&prepare.Differs{Partial: "set.partial"}, exitFailed, []string{"begin anew: rm -r set.partial"}},
		{
			&prepare.Interrupted{Done: 1200, All: 5000, Err: &interrupted{syscall.SIGINT}}, exitFailed,
			[]string{"the same command again goes on after 1,200 of 5,000 pictures"},
		},
		{&prepare.Interrupted{All: 5000, Err: &interrupted{syscall.SIGINT}}, exitFailed, nil},
		{
			&data.SourceError{Problem: data.BadSet, Detail: "index"}, exitNoData,
			[]string{"copy it again, or make it again with alexnet data prepare"},
		},
	}
}

func tellingsOfFetching() []told {
	return []told{
		{&fetch.Unreachable{Err: errors.New("no route")}, exitFailed, []string{"HTTPS_PROXY", "same command again"}},
		{&fetch.Unreachable{Err: errors.New("cut"), Have: 1_500_000}, exitFailed, []string{"goes on after 1.5 MB"}},
		{&fetch.Refused{What: "404 Not Found"}, exitFailed, []string{"check the address"}},
		{&fetch.Mismatch{}, exitFailed, []string{"the same command again"}},
		{&fetch.BadArchive{Why: "ends early"}, exitFailed, []string{"what was downloaded is removed"}},
		{&fetch.NotFolder{Path: "there"}, exitFailed, []string{"name another folder with --out"}},
		{&fetch.Fixed{Dir: ".", Err: syscall.EBUSY}, exitFailed, []string{"name a new folder"}},
		{
			&fetch.Interrupted{Have: 1_500_000, Err: &interrupted{syscall.SIGINT}}, exitFailed,
			[]string{"the same command again goes on after 1.5 MB"},
		},
		{&fetch.Interrupted{Err: &interrupted{syscall.SIGINT}}, exitFailed, nil},
		{&fetch.Busy{Dir: "there"}, exitLocked, []string{"--out"}},
		{&fetch.NotEmpty{Dir: "my pictures"}, exitFailed, []string{"alexnet data info 'my pictures'", "--out"}},
	}
}

func tellingsOfData() []told {
	fault := func(err error) *data.SourceFault { return &data.SourceFault{Path: "there", Err: err} }
	source := func(p data.Problem) error { return &data.SourceError{Path: "there", Problem: p} }
	return []told{
		{data.ErrNoData, exitNoData, nil},
		{source(data.NotFound), exitNoData, []string{"check the path", "alexnet data demo --out there"}},
		{source(data.NotOpened), exitNoData, []string{"permissions"}},
		{&data.SourceError{Path: "s3://a/b", Problem: data.NotFound}, exitNoData, []string{"AWS_ENDPOINT_URL"}},
		{source(data.NoShards), exitNoData, []string{"--set data.shuffle=full", "alexnet data prepare there OUT"}},
		{
			&data.SourceError{Path: "there", Problem: data.NotOpened, Err: syscall.EMFILE}, exitNoData,
			[]string{"ulimit -n"},
		},
		{source(data.NotListed), exitNoData, []string{"permissions"}},
		{source(data.NoPictures), exitNoData, []string{"class folders", "alexnet data demo --out there"}},
		{source(data.NoClassFolders), exitNoData, []string{"there/cat/1.jpg"}},
		{source(data.EmptyClass), exitNoData, []string{"remove it"}},
		{source(data.UnknownClass), exitNoData, []string{"add the class to the training pictures"}},
		{
			&data.SourceError{Path: "my pictures", Problem: data.LoosePart, Detail: "val/"}, exitNoData,
			[]string{"'my pictures/val/cat/1.jpg'"},
		},
		{source(data.EmptyPart), exitNoData, []string{"remove it", "held out"}},
		{source(data.NoPart), exitNoData, []string{"train.tar or photos-val"}},
		{source(data.AskOrder), exitNoData, []string{"--labels index", "--labels ilsvrc-id", "--labels FILE"}},
		{source(data.NoNumbers), exitNoData, []string{"omit --labels"}},
		{source(data.WrongCount), exitNoData, []string{"a label a line in order of their names"}},
		{source(data.BadList), exitNoData, []string{"path,label"}},
		{source(data.NoLabel), exitNoData, []string{"add its label"}},
		{source(data.BadLabel), exitNoData, []string{"correct it", "--labels says: index, ilsvrc-id, numbers or FILE"}},
		{source(data.Disagree), exitNoData, []string{"have to go"}},
		{source(data.TwoParts), exitNoData, []string{"rename or move one"}},
		{source(data.NoTar), exitNoData, []string{"uncompressed .tar"}},
		{source(data.Compressed), exitNoData, []string{"unpack"}},
		{&data.SourceError{Problem: data.Packed, Detail: "train.bin"}, exitNoData, []string{"unpack it and give"}},
		{source(data.OtherZip), exitNoData, []string{"unpack"}},
		{source(data.OtherParquet), exitNoData, []string{"to_parquet"}},
		{source(data.Damaged), exitNoData, []string{"download it again"}},
		{source(data.Changes), exitNoData, []string{"until it is complete"}},
		{
			&data.SourceError{Path: "my set.tgz", Problem: data.OnlyThrough}, exitNoData,
			[]string{"alexnet data prepare 'my set.tgz' OUT, "},
		},
		{
			&data.SourceError{Path: "b.tgz", Problem: data.OnlyThrough, Paths: []string{"a b.tar", "b.tgz"}},
			exitNoData,
			[]string{"alexnet data prepare 'a b.tar' b.tgz OUT, "},
		},
		{
			&data.SourceError{Path: "a.txt, b c.txt", Problem: data.NoShards, Paths: []string{"a.txt", "b c.txt"}},
			exitNoData,
			[]string{"alexnet data prepare a.txt 'b c.txt' OUT"},
		},
		{
			&data.SourceError{Path: "x", Problem: data.OtherForm, Detail: string(data.Arrow)}, exitNoData,
			[]string{"to_parquet"},
		},
		{source(data.Pointer), exitNoData, []string{"git lfs pull"}},
		{source(data.OnePicture), exitNoData, []string{"folder of class folders"}},
		{source(data.CutOff), exitNoData, []string{"tar tf there"}},
		{source(data.Hole), exitNoData, []string{"download it again", "tar tf there"}},
		{source(data.Twice), exitNoData, []string{"move one of the two"}},
		{source(data.PathTwice), exitNoData, []string{"once"}},
		{source(data.Unfinished), exitNoData, []string{"alexnet data prepare again"}},
		{
			&data.SourceError{Path: "my sets", Problem: data.HoldsSets, Detail: "train.set"}, exitNoData,
			[]string{"--data 'my sets/train.set'"},
		},
		{source(data.BadNotes), exitNoData, []string{"download or unpack it again"}},
		{source(data.Sparse), exitNoData, []string{"without tar's --sparse"}},
		{source(data.NotRead), exitNoData, []string{"tar tf there"}},
		{source(data.Special), exitNoData, []string{"a folder of class folders"}},
		{fault(syscall.ESTALE), exitNoData, []string{"bring the data back, then try again"}},
		{fault(syscall.EMFILE), exitNoData, []string{"ulimit -n"}},
		{fault(syscall.ENFILE), exitNoData, []string{"files open on this machine"}},
		{fault(syscall.ENOMEM), exitNoData, []string{"memory"}},
		{fault(syscall.EACCES), exitNoData, []string{"permissions of its folders"}},
		{&data.SourceFault{Err: errors.New("cut"), Changed: true}, exitNoData, []string{"put the file back as it was"}},
		{&data.SourceFault{Err: errors.New("page"), Damaged: true}, exitNoData, []string{"download it again"}},
		{&data.SizeError{}, exitUnreadable, []string{"data.resize", "--strict"}},
		{
			&data.BadPicture{Name: "p", Err: &data.SizeError{WantHeight: 5, WantWidth: 6, Alone: true}}, exitUnreadable,
			[]string{"give a picture of 6x5", "trained without resizing", "--strict"},
		},
		{
			&data.BadPicture{Name: "p", Err: &picture.Unsupported{
				Form:       "arithmetic-coded JPEG (SOF9)",
				NeedsTurbo: true,
			}},
			exitUnreadable,
			[]string{"apt-get install libturbojpeg0", "--strict"},
		},
		{&picture.Unsupported{Form: "lossless JPEG (SOF3)"}, exitUnreadable, []string{"convert it to PNG"}},
		{&data.BadPicture{Name: "p", Err: files.ErrPointer}, exitUnreadable, []string{"git lfs pull"}},
		{&data.BadPicture{Name: "p", Err: errors.New("cut off")}, exitUnreadable, []string{"repair or remove"}},
	}
}

func tellingsOfFiles() []told {
	taken := func(f tensor.Fault) error { return &tensor.BadFile{Path: "f", Fault: f, Reason: "is bad"} }
	other := func(k checkpoint.Difference) error {
		return &checkpoint.Mismatch{
			Path: "my net", Pair: checkpoint.Pair{Tensor: "fc8.bias", File: []int{3}, Net: []int{10}}, Kind: k,
		}
	}
	return []told{
		{taken(tensor.Corrupt), exitCheckpoint, []string{"another copy"}},
		{taken(tensor.OtherFormat), exitCheckpoint, []string{"best.safetensors"}},
		{taken(tensor.OtherType), exitCheckpoint, []string{"BF16"}},
		{&checkpoint.Foreign{Path: "f"}, exitCheckpoint, []string{"alexnet weights import f"}},
		{&checkpoint.Foreign{Path: "f", Version: "2"}, exitCheckpoint, []string{"use the version"}},
		{
			&checkpoint.BadPage{Path: "f", Err: &config.Error{Key: "train.lr", Msg: "is 0"}}, exitCheckpoint,
			[]string{"another checkpoint", "weights show"},
		},
		{&checkpoint.DropoutError{Path: "f", Form: "inverted"}, exitCheckpoint, []string{"another checkpoint"}},
		{&interop.Exported{Path: "f", Form: "plain"}, exitCheckpoint, []string{"made from"}},
		{
			&interop.Exported{Path: "f", Form: "plain", Source: "runs/train/checkpoints/best.safetensors"},
			exitCheckpoint,
			[]string{"use the checkpoint that it was made from: runs/train/checkpoints/best.safetensors"},
		},
		{other(checkpoint.OtherNet), exitCheckpoint, []string{"alexnet weights show 'my net'"}},
		{other(checkpoint.OtherClasses), exitCheckpoint, []string{"another file"}},
		{other(checkpoint.NoMomentum), exitCheckpoint, []string{"last.safetensors", "--init"}},
		{&interop.Refused{Target: "x"}, exitCheckpoint, []string{"--to plain", "--config torchvision"}},
		{&interop.Refused{Target: "x", Dropout: "drop1"}, exitCheckpoint, []string{"--set model.drop1=off"}},
		{&pth.Refused{Path: "f", Kind: pth.WholeModel}, exitCheckpoint, []string{"state_dict()"}},
		{&pth.Refused{Path: "f", Kind: pth.TorchScript}, exitCheckpoint, []string{"torch.jit.load"}},
		{&pth.Refused{Path: "f", Kind: pth.OtherGlobal}, exitCheckpoint, []string{"state_dict"}},
		{&interop.Unfit{Path: "f"}, exitCheckpoint, []string{"state dict"}},
		{
			&interop.Unfit{Path: "f", Net: "demo", Rows: []interop.Row{{}}}, exitCheckpoint,
			[]string{"alexnet config --config demo --yaml", "--config FILE"},
		},
		{
			&interop.Unfit{Path: "f", Net: "demo", Rows: []interop.Row{{}}, Asked: true}, exitCheckpoint,
			[]string{"omit --config", "torchvision"},
		},
		{&interop.Ambiguous{Nets: []string{"alexnet", "caffenet"}}, exitUsage, []string{"--config caffenet"}},
		{&interop.OtherForm{Path: "f", Form: interop.HDF5}, exitCheckpoint, []string{"savez", "BINARYPROTO"}},
		{&interop.OtherForm{Path: "f", Form: interop.CaffeV0}, exitCheckpoint, []string{"upgrade_net_proto_binary"}},
		{&tensor.NotHalf{Value: 70000}, exitFailed, []string{"--dtype f32"}},
		{&interop.OtherForm{Path: "f", Form: interop.NoForm}, exitCheckpoint, []string{"--help"}},
		{&interop.OtherForm{Path: "f", Form: interop.NotFile}, exitCheckpoint, []string{"the file itself"}},
		{&interop.OtherForm{Path: "f", Form: interop.PyTorch, Reason: "x"}, exitCheckpoint, []string{"--help"}},
		{&onnx.NoData{Path: "n.onnx", Data: "my data"}, exitCheckpoint, []string{"put 'my data' there", "n.onnx"}},
		{&interop.NotFinite{Path: "f", Tensor: "fc8.bias"}, exitCheckpoint, []string{"another copy"}},
		{&interop.Twice{Path: "f", Names: [2]string{"a", "b"}}, exitCheckpoint, []string{"take one of them out"}},
		{&interop.BadExport{Path: "f", Err: errors.New("x")}, exitCheckpoint, []string{"--config NAME"}},
		{&interop.ClassCount{Path: "f", Have: 2, Want: 3}, exitUsage, []string{"a line"}},
		{&neighbors.BadIndex{Path: "f", Reason: "x"}, exitFailed, []string{"look index DATA --out f --force"}},
		{&neighbors.BadIndex{Path: "f", Other: true}, exitFailed, []string{"look index DATA --out NEW"}},
		{&neighbors.NotFinite{Layer: "fc7", Picture: "f"}, exitCheckpoint, []string{"another copy"}},
		{&interop.NoMean{Path: "f"}, exitUsage, []string{".binaryproto"}},
		{&interop.MeanSize{Path: "f"}, exitUsage, []string{"omit it"}},
		{&interop.Ours{Path: "my net"}, exitUsage, []string{"alexnet predict --weights 'my net'"}},
		{&data.InShards{Path: "a set"}, exitNoData, []string{"made of", "alexnet eval --data 'a set'"}},
		{&data.SameName{First: "a/1.png", Second: "b/1.png"}, exitUsage, []string{"only one"}},
		{&infer.NoMaps{Layer: "fc6", Have: []string{"conv1"}}, exitUsage, []string{"--layer"}},
		{&infer.OtherClasses{Path: "f"}, exitCheckpoint, []string{"another checkpoint"}},
		{&infer.UnlikeNets{Path: "f", First: "g"}, exitCheckpoint, []string{"the same classes"}},
		{&atomicfile.Exists{Path: "out"}, exitFailed, []string{"name a new folder"}},
	}
}

func tellingsOfRuns() []told {
	there := func(cause error) error {
		return &run.FolderError{
			Path: "runs/train", There: true, Err: &os.PathError{Op: "open", Path: "runs/train/lock", Err: cause},
		}
	}
	return []told{
		{run.ErrNoRun, exitNoData, []string{"alexnet runs lists"}},
		{&run.ReplacedError{Path: "a", Holds: "b"}, exitFailed, []string{"folder of its own: --out"}},
		{&run.LockedError{Path: "a", PID: 3}, exitLocked, []string{"wait until it ends", "--out"}},
		{
			&run.NotEmptyError{Path: "old", Run: true}, exitFailed,
			[]string{"go on with it by --resume old, or name a new one with --out"},
		},
		{&run.NotEmptyError{Path: "photos"}, exitFailed, []string{"name a new one with --out"}},
		{&run.NotEmptyError{Path: "my run", Begun: true}, exitFailed, []string{"rm -r 'my run' to begin again"}},
		{&run.FolderError{Path: "file", Err: syscall.ENOTDIR}, exitFailed, []string{"written with --out"}},
		{there(syscall.ENOSPC), exitFailed, []string{"free some space"}},
		{there(syscall.EACCES), exitFailed, []string{"make it writable"}},
		{there(syscall.EROFS), exitFailed, []string{"copy the run"}},
		{
			&files.InTheWay{Path: "a/config.yaml", Mode: fs.ModeSymlink, Link: "../mine"}, exitFailed,
			[]string{"remove the link, or put a copy of what it leads to in its place: a/config.yaml"},
		},
		{&files.InTheWay{Path: "a/lock", Mode: fs.ModeNamedPipe}, exitFailed, []string{"move a/lock away"}},
		{
			&unfinished{&files.InTheWay{Path: "a/curves.png", Mode: fs.ModeDir}, "alexnet train --resume a"},
			exitFailed,
			[]string{"move a/curves.png away; then alexnet train --resume a"},
		},
		{&report.BrokenError{Path: "m.jsonl", Err: errors.New("line 3")}, exitFailed, []string{"move m.jsonl away"}},
	}
}

func tellingsOfTraining() []told {
	other := func(fits bool, paths ...string) error {
		return &train.OtherData{
			Path: "my pictures", Data: data.At(paths...), Fits: fits, Config: "r/config.yaml", Checkpoint: "c",
		}
	}
	stopped := &train.Stopped{Step: 4, Checkpoint: "r/last.safetensors", LR: .01, Now: .01, Own: .01}
	stopped.Config = "r/config.yaml"
	onData := *stopped
	onData.Data = data.At("my pictures")
	again := func(err error) error { return &unfinished{err, "alexnet train --resume r"} }
	return []told{
		{other(false), exitFailed, []string{"alexnet train --config r/config.yaml"}},
		{
			other(true, "my pictures"), exitFailed,
			[]string{"alexnet train --config r/config.yaml --data 'my pictures' --init c"},
		},
		{
			other(true, "train.tar", "-val 2.tar"), exitFailed,
			[]string{"--config r/config.yaml --data train.tar --data './-val 2.tar' --init c"},
		},
		{
			&train.Stopped{Step: 4, LR: .01, Now: .005, Own: .01}, exitFailed,
			[]string{"--set train.lr=0.001", "init.std"},
		},
		{&train.Stopped{Step: 4, LR: .4, Now: .4, Own: .005}, exitFailed, []string{"--set train.lr=0.005"}},
		{
			&train.FrozenHead{Layer: "fc8", Path: "w.safetensors"}, exitUsage,
			[]string{"omit it from --freeze, or --set model.fc8.freeze=false --set model.fc8.lr=1"},
		},
		{
			&train.Stopped{Step: 4, LR: .01, Now: .01 * .1, Own: .01}, exitFailed,
			[]string{"hardly the cause", "alexnet doctor"},
		},
		{
			stopped, exitFailed,
			[]string{"alexnet train --config r/config.yaml --init r/last.safetensors --set train.lr=0.001"},
		},
		{
			&onData, exitFailed,
			[]string{
				"alexnet train --config r/config.yaml --data 'my pictures' --init r/last.safetensors " +
					"--set train.lr=0.001",
			},
		},
		{again(&train.Interrupted{Step: 3}), exitFailed, []string{"alexnet train --resume r"}},
		{
			&files.NoRoom{}, exitFailed,
			[]string{"free some space, then the same command again; or name a folder on another disk"},
		},
		{again(&files.NoRoom{}), exitFailed, []string{"free some space, then alexnet train --resume r; or"}},
		{
			again(&files.NoRoom{Need: 8, Free: 2, Files: true}), exitFailed,
			[]string{"free some inodes: ", "(df -i); remove many small ones, then alexnet train --resume r; or"},
		},
		{&train.Hung{Step: 3}, exitFailed, []string{"alexnet doctor checks the devices"}},
		{again(&train.Hung{Step: 3}), exitFailed, []string{"doctor checks the devices; then alexnet train --resume r"}},
		{again(syscall.ENOSPC), exitFailed, []string{"free some space, then alexnet train --resume r"}},
		{syscall.ENOSPC, exitFailed, []string{"free some space, or write to another disk"}},
		{syscall.EDQUOT, exitFailed, []string{"your quota", ", or write to another disk"}},
		{again(syscall.EDQUOT), exitFailed, []string{"your quota", "then alexnet train --resume r"}},
		{syscall.EFBIG, exitFailed, []string{"ulimit -f", ", or write to another disk"}},
		{&atomicfile.Failed{Path: "/f", Err: syscall.ENOSPC}, exitFailed, []string{"free some space"}},
		{&atomicfile.Failed{Path: "/f", Err: syscall.EACCES}, exitFailed, []string{"a place that you can write to"}},
		{
			&fs.PathError{Op: "open for writing", Path: "f", Err: syscall.EACCES}, exitFailed,
			[]string{"a place that you can write to"},
		},
		{
			&fs.PathError{Op: "mkdir", Path: "f", Err: syscall.EPERM}, exitFailed,
			[]string{"a place that you can write to"},
		},
		{
			&fs.PathError{Op: "open", Path: "my net", Err: syscall.EACCES}, exitFailed,
			[]string{"permission to read it: ls -ld 'my net'"},
		},
		{syscall.EACCES, exitFailed, []string{"a place that you can write to"}},
		{syscall.EROFS, exitFailed, []string{"a place that you can write to"}},
		{
			again(&train.DataGone{Step: 3, Err: &data.SourceFault{Path: "there", Err: syscall.EIO}}), exitNoData,
			[]string{"bring the data back, then alexnet train --resume r"},
		},
		{
			again(&train.TooManyBad{Data: data.At("my pictures")}), exitUnreadable,
			[]string{
				"alexnet data info --full 'my pictures' names them all", "repair them, then alexnet train --resume r",
				"--set data.bad_share=1",
			},
		},
		{&train.TooManyBad{}, exitUnreadable, []string{"look at them: repair them, then try again"}},
		{
			again(&train.Unsaved{Step: 9, Before: 6, Err: syscall.EDQUOT}), exitFailed,
			[]string{"your quota", "then alexnet train --resume r"},
		},
		{&train.Unsaved{Step: 9, Interrupted: true, Err: syscall.EIO}, exitFailed, nil},
		{again(&train.Unrecorded{Lines: 3, Err: syscall.ENOSPC}), exitFailed, []string{"free some space"}},
		{again(errors.New("it broke")), exitFailed, nil},
	}
}

// TestNotes: what a run tells comes with what could be done about it, in the words of the command line.
func TestNotes(t *testing.T) {
	dead := &train.DeadStart{Loss: 100, Guessing: 100, From: 151, To: 200, Try: [][]train.Change{
		{{Key: "model.fc6.init.bias", Value: .1}, {Key: "model.fc6.init.std", Value: .005}},
		{{Key: "train.lr", Value: .001}},
	}}
	flat := &train.DeadStart{Loss: 100, Guessing: 100, From: 151, To: 200, Try: [][]train.Change{
		{{Key: "train.lr", Value: 1e-4}},
	}}
	size := &data.BadPicture{Name: "p", Err: &data.SizeError{Height: 5, Width: 7, WantHeight: 5, WantWidth: 6}}
	for _, c := range []struct {
		note train.Note
		want string
	}{
		{
			dead, "Try a new run with --set model.fc6.init.bias=0.1 --set model.fc6.init.std=0.005, or with --set " +
				"train.lr=0.001, or from weights that have learned something: --init FILE.",
		},
		{dead, "100 over steps 151 to 200, no better than guessing (100)"},
		{flat, "Try a new run with --set train.lr=0.0001, or from weights"},
		{
			train.HighLoss{Loss: 6.8123, Guessing: 1.0986, From: 9, To: 58, LR: .001, Lower: true, Suits: "cifar10"},
			"warning: the loss is 6.81, and was above 2.2, twice that of guessing, in all of steps 9 to 58. Try a " +
				"new run with --set train.lr=0.001, or with --config cifar10, which suits these pictures better, or " +
				"from weights that have learned something: --init FILE.",
		},
		{
			train.HighLoss{Loss: 6.8, Guessing: 1.1, From: 9, To: 58, LR: .001},
			"58. Try a new run from weights that have learned something: --init FILE.",
		},
		{train.NoValidation{Share: .09}, "no best checkpoint is chosen; --set data.val_share=0.09 would hold some out"},
		{train.NoValidation{}, "no class has a picture to spare: give data with folders train/ and val/"},
		{
			train.LeftOut{Picture: size},
			"warning: cannot read picture p: is 7x5, most are 6x5; left out; data.resize",
		},
		{
			&train.Edited{
				Path: "r/config.yaml", Kept: "r/config.yaml.1", Keys: []string{"train.lr", "train.epochs"},
				Checkpoint: "r/c", Data: data.At("my pictures"),
			},
			"r/config.yaml differs from it in train.lr, train.epochs and is not used; it is kept as r/config.yaml.1; " +
				"a new run with it: alexnet train --config r/config.yaml.1 --data 'my pictures' --init r/c",
		},
		{
			&train.Edited{Path: "r/config.yaml", Keys: []string{"data.workers", "train.epochs"}},
			"not used; --resume takes --set data.workers=..., --epochs N",
		},
		{
			&train.Edited{Path: "r/config.yaml", Kept: "r/config.yaml.1", Err: errors.New("is empty")},
			"is not a page (is empty) and is not used; it is kept as r/config.yaml.1; corrected, it could begin a " +
				"new run",
		},
		{
			data.Outage{
				Fault: &data.SourceFault{Path: "there", Picture: "a/1.png", Err: syscall.EIO}, Retry: time.Minute,
			},
			"warning: data there: cannot read a/1.png: input/output error; trying again for up to 1m",
		},
		{train.NoPictures{Epoch: 2, Rows: 16}, "none of the 16 pictures of a batch in epoch 2 can be read"},
		{train.Remark("memory on cpu: 1 MiB"), "memory on cpu: 1 MiB"},
		{
			train.NotSaved{Step: 20, Before: 10, Err: syscall.EDQUOT},
			"no checkpoint of step 20: disk quota exceeded; the one of step 10 stands; free some of your quota",
		},
		{train.NotSaved{Step: 20, Err: syscall.EIO}, "no checkpoint of step 20: input/output error; there is none"},
		{train.NotSaved{Step: 20, Before: 20, Err: syscall.EIO}, "validation included: input/output error; the one"},
		{train.NotSaved{Step: 20, Best: true, Before: 10, Err: syscall.EIO}, "no best checkpoint of step 20: "},
		{train.NotSaved{Step: 20, Written: true, Err: syscall.EIO}, "the checkpoint of step 20: input/output error"},
		{train.NotRecorded{Step: 5, Written: true, Err: syscall.EIO}, "up to step 5 may be lost in a power failure"},
		{train.NotRecorded{Step: 5, Err: syscall.ENOSPC}, "kept until they can be; free some space"},
		{
			train.Weak{Weakness: files.Weakness{Path: "r", Lock: true, Err: syscall.ENOLCK}},
			"warning: files in r cannot be locked (no locks available): nothing keeps a second trainer out",
		},
		{
			train.Weak{Weakness: files.Weakness{Path: "r", Err: &fs.PathError{Op: "sync", Err: syscall.EINVAL}}},
			"warning: the folder r cannot be synced (invalid argument): a power failure may take",
		},
	} {
		if got := wordNote(c.note); !strings.Contains(got, c.want) {
			t.Errorf("%q does not say %q", got, c.want)
		}
	}
	alone := &data.BadPicture{Name: "p", Err: &data.SizeError{
		Height: 5, Width: 7, WantHeight: 5, WantWidth: 6, Alone: true,
	}}
	want := "cannot read picture p: is 7x5, want 6x5; this net was trained on pictures of that size, without resizing"
	if got := explainUnread(alone, "alexnet predict -r"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	resumed := train.NoValidation{Resumed: true, Share: .09}
	if got := wordNote(resumed); got != resumed.String() {
		t.Errorf("a run that goes on is told %q", got)
	}
}

// TestAdvice: each error has its exit code and its next step, which its own text does not say.
func TestAdvice(t *testing.T) {
	for _, c := range tellings() {
		next := nextStep(c.err)
		for _, part := range c.next {
			if !strings.Contains(next, part) {
				t.Errorf("%T, %v: next is %q, want %q in it", c.err, c.err, next, part)
			}
		}
		if len(c.next) == 0 && next != "" {
			t.Errorf("%T, %v: next is %q, want none", c.err, c.err, next)
		}
		if got := exitCode(c.err); got != c.code {
			t.Errorf("%T, %v: exit code %d, want %d", c.err, c.err, got, c.code)
		}
		if next != "" && strings.Contains(c.err.Error(), next) {
			t.Errorf("%T says its advice itself: %v", c.err, c.err)
		}
	}
}

// TestAdviceCanBePasted: whatever a path is called, a shell takes what is advised for that path.
func TestAdviceCanBePasted(t *testing.T) {
	const name, quoted = "-x y'$z", `'./-x y'\''$z` // how it begins; a file in it may follow
	var rename func(v reflect.Value)
	rename = func(v reflect.Value) {
		switch v.Kind() { //nolint:exhaustive // the others lead to no path
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				rename(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				f, called := v.Field(i), v.Type().Field(i).Name
				switch {
				case f.Kind() != reflect.String:
					rename(f)
				case f.CanSet() && f.String() != "" && slices.Contains(
					[]string{"Path", "Data", "Checkpoint", "Config", "Source", "Picture"}, called):
					f.SetString(name)
				}
			}
		}
	}
	seen := 0
	for _, c := range tellings() {
		if e := (*config.Error)(nil); errors.As(c.err, &e) && e.Override { // its Source is a flag with its value
			continue
		}
		rename(reflect.ValueOf(&c.err))
		next := nextStep(c.err)
		n := strings.Count(next, "x y")
		if n != strings.Count(next, quoted) {
			t.Errorf("%T: next is %s, which no shell takes", c.err, next)
		}
		seen += n
	}
	if seen < 20 {
		t.Errorf("%d paths in all advice: it looks at too little", seen)
	}
}

// plainErrors are the types of errors for which there is no rule, and why.
var plainErrors = map[string]string{
	"pickle.fault":          "is the reason of a tensor.BadFile",
	"shards.BadIndex":       "is the reason of a data.SourceError",
	"cpu.Fewer":             "a note, unless OpenMP gives fewer threads than it just did: it names the cause",
	"cuda.Error":            "a call that failed: what to do depends on the call",
	"data.NotFile":          "is in a BadPicture",
	"data.flaw":             "is in a BadPicture",
	"parquet.Error":         "is in a data.SourceError",
	"device.NonFiniteError": "is in a train.Stopped; a net in use that has no numbers has them from its file",
	"device.OpError":        "says where; what is in it may have a rule",
	"s3.refusal":            "is in a SourceFault or a SourceError",
	"report.EventError":     "verify tells of it as a finding; whoever cuts a file cuts there",
	"verify.pngError":       "is a finding",
	"model.deviceErrors":    "joins others, which may have rules",
}

// TestRules: every type of error below this package is told of in TestAdvice, or plain. None is both.
func TestRules(t *testing.T) {
	known := map[string]bool{}
	for _, c := range tellings() {
		for err := c.err; err != nil; err = errors.Unwrap(err) {
			known[strings.TrimPrefix(fmt.Sprintf("%T", err), "*")] = true
		}
	}
	found := map[string]bool{}
	eachFile(t, func(_ string, file *ast.File) {
		for _, decl := range file.Decls {
			f, is := decl.(*ast.FuncDecl)
			if !is || f.Recv == nil || f.Name.Name != "Error" {
				continue
			}
			of := f.Recv.List[0].Type
			if star, is := of.(*ast.StarExpr); is {
				of = star.X
			}
			found[file.Name.Name+"."+of.(*ast.Ident).Name] = true
		}
	})
	for name := range found {
		if _, plain := plainErrors[name]; plain == known[name] {
			t.Errorf("%s: plain %t, told of in TestAdvice %t; want one of them", name, plain, known[name])
		}
	}
	for name := range plainErrors {
		if !found[name] {
			t.Errorf("%s is plain, and no such type is there", name)
		}
	}
	if len(found) < 20 {
		t.Errorf("%d types of errors were found: %v", len(found), found)
	}
}

// flags finds flags and commands of this program, which are this package's matter.
var flags = regexp.MustCompile(`(^|[^-\w])--[a-z]|` +
	`\balexnet (train|eval|predict|features|summary|config|data|weights|bench|doctor)\b`)

// flagsAllowed are the texts below this package with a flag in them, and why.
var flagsAllowed = map[string]string{
	"start it with --gpus all": "a container's flag, not ours",
}

// TestNoFlags: the packages below do not know how they are called: no text of theirs names a flag or a command.
func TestNoFlags(t *testing.T) {
	texts, used := 0, map[string]bool{}
	eachFile(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, is := n.(*ast.BasicLit)
			if !is || literal.Kind != token.STRING {
				return true
			}
			if texts++; !flags.MatchString(strings.Trim(literal.Value, "`\"")) {
				return true
			}
			for allowed := range flagsAllowed {
				if strings.Contains(literal.Value, allowed) {
					used[allowed] = true
					return true
				}
			}
			t.Errorf("%s: %s names a flag or a command", path, literal.Value)
			return true
		})
	})
	for allowed := range flagsAllowed {
		if !used[allowed] {
			t.Errorf("%q is allowed, and nobody says it", allowed)
		}
	}
	if texts < 1000 {
		t.Errorf("%d texts were found", texts)
	}
}

// eachFile parses the Go files below this package, whatever their build tags, but those of tests: packages for tests
// (devicetest, ...) are among them.
func eachFile(t *testing.T, do func(path string, file *ast.File)) {
	t.Helper()
	for _, root := range []string{"../../internal", "../../kernels", "../../configs"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err == nil {
				do(path, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestShowError: an error stands in a line, its next step in another.
func TestShowError(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("it broke"), "error: it broke\n"},
		{usageError("alexnet --help", "no such thing"), "error: no such thing\nnext:  alexnet --help\n"},
		{
			advise(exitFailed, "give a new folder", errors.New("x is there")),
			"error: x is there\nnext:  give a new folder\n",
		},
		{
			&run.NotEmptyError{Path: "x", Holds: "notes"},
			"error: x: the folder is not empty (it holds notes)\nnext:  name a new one with --out\n",
		},
	} {
		var b bytes.Buffer
		if showError(&ui.Terminal{Err: &b}, test.err); b.String() != test.want {
			t.Errorf("%v: %q, want %q", test.err, b.String(), test.want)
		}
	}
}
