package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/device"
	"alexnet/internal/fetch"
	"alexnet/internal/files"
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
	"alexnet/internal/text"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// rules say what the errors of the packages below mean to whoever typed a command: the exit code and what to do next.
// The first rule that knows an error holds; an error that none knows has failed the command, and nothing can be said.
// What this package finds wrong itself is a commandError, which brings both along.
var rules = []rule{
	on(exitUsage, func(e *config.Error, _ string) string { return correction(e) }),
	say[*config.ClassesError](exitUsage, "--set model.classes=0 lets it follow the data"),
	on(exitUsage, adviseDevices),
	say[*device.PrecisionError](exitUsage, "--precision fp32 (train.precision), in which every device computes"),
	on(exitFailed, func(e *device.MemoryError, _ string) string {
		if e.Rows == 0 {
			return "a higher limit: alexnet doctor shows all that hold"
		}
		if e.Limit != "" && e.Fits > 0 {
			return fmt.Sprintf("--batch %d (train.batch), or a higher limit: alexnet doctor shows all that hold",
				e.Fits)
		}
		if e.Limit != "" {
			return "a higher limit (alexnet doctor shows all that hold), or a smaller net"
		}
		if e.Fits > 0 {
			return fmt.Sprintf("--batch %d (train.batch), or other GPUs: alexnet doctor shows what is free", e.Fits)
		}
		return "other GPUs: alexnet doctor shows what is free; or a smaller net, or --device cpu"
	}),
	on(exitFailed, func(e *device.BatchError, _ string) string {
		return fmt.Sprintf("--batch %d (train.batch) is the largest", e.Largest)
	}),
	say[*device.Int8Error](exitFailed, "omit --int8, or --device cpu"),
	on(exitNoData, adviseSource),
	on(exitNoData, func(e *data.InShards, _ string) string {
		return "name the pictures that it was made of; alexnet eval --data " + text.ShellPath(e.Path) +
			" measures a net on those in it"
	}),
	say[*data.SameName](exitUsage, "name only one of them: the lines go by file name"),
	on(exitNoData, adviseFault),
	is(run.ErrNoRun, exitNoData, "alexnet runs lists the runs; alexnet train begins one"),
	is(data.ErrNoData, exitNoData, ""),
	on(exitFailed, adviseUnreachable),
	say[*fetch.Refused](exitFailed, "check the address"),
	say[*fetch.Mismatch](exitFailed, "the same command again; if nothing changes, another file is at the address"),
	say[*fetch.BadArchive](exitFailed, "check the address; what was downloaded is removed"),
	say[*fetch.Busy](exitLocked, "wait until it ends, or name another folder with --out"),
	say[*fetch.NotFolder](exitFailed, "name another folder with --out"),
	say[*fetch.Fixed](exitFailed, "name a new folder with --out"),
	on(exitFailed, adviseFetchInterrupted),
	on(exitFailed, func(e *fetch.NotEmpty, _ string) string {
		return "alexnet data info " + text.ShellPath(e.Dir) + " shows what is in it; or name another folder with --out"
	}),
	on(exitFailed, func(e *prepare.Exists, _ string) string {
		return "name a new folder; alexnet data info " + text.ShellPath(e.Out) + " shows what is in this one"
	}),
	say[*prepare.Inside](exitFailed, "name a folder elsewhere"),
	say[*prepare.Busy](exitLocked, "wait until it ends, or name another folder"),
	on(exitFailed, adviseDiffers),
	on(exitFailed, advisePrepareInterrupted),
	on(exitCheckpoint, adviseBadFile),
	on(exitCheckpoint, adviseForeign),
	say[*tensor.NotHalf](exitFailed, "--dtype f32, which holds it"),
	say[*checkpoint.BadPage](exitCheckpoint, "take another checkpoint; alexnet weights show prints this one's "+
		"configuration"),
	say[*checkpoint.DropoutError](exitCheckpoint, "use the program that wrote it, or another checkpoint"),
	on(exitCheckpoint, adviseExported),
	on(exitCheckpoint, adviseMismatch),
	on(exitCheckpoint, adviseRefused),
	on(exitCheckpoint, adviseUnfit),
	on(exitCheckpoint, func(e *pth.Refused, _ string) string { return refusedPickles[e.Kind] }),
	on(exitUsage, func(e *interop.Ambiguous, _ string) string {
		return "--config " + strings.Join(e.Nets, ", or --config ")
	}),
	on(exitCheckpoint, adviseOtherForm),
	on(exitCheckpoint, func(e *onnx.NoData, _ string) string {
		return "put " + text.ShellPath(e.Data) + " there, which was written together with " + text.ShellPath(e.Path)
	}),
	say[*interop.NotFinite](exitCheckpoint, "take another copy, or weights from before training went wrong"),
	say[*interop.Twice](exitCheckpoint, "take one of them out: in Python, del of its key in the dict, and save that"),
	say[*interop.BadExport](exitCheckpoint, "export it again; or say what the net is: --config NAME"),
	say[*interop.ClassCount](exitUsage, "give a file with the name of a class a line, in the order of the outputs"),
	say[*interop.NoMean](exitUsage, "--mean takes a .binaryproto of Caffe's or an .npy; or omit it"),
	say[*interop.MeanSize](exitUsage, "give the mean that the net was trained with, or omit it"),
	on(exitUsage, func(e *interop.Ours, _ string) string {
		return "use it as it is: alexnet predict --weights " + text.ShellPath(e.Path)
	}),
	on(exitFailed, adviseBadIndex),
	say[*neighbors.NotFinite](exitCheckpoint, "take another copy, or weights from before training went wrong"),
	say[*infer.NoMaps](exitUsage, "name one of these with --layer"),
	say[*infer.OtherClasses](exitCheckpoint, "give data of the classes that it was trained on, or another checkpoint"),
	say[*infer.UnlikeNets](exitCheckpoint, "give checkpoints of nets with the same classes"),
	say[*atomicfile.Exists](exitFailed, "name a new folder"),
	on(exitFailed, adviseNotEmpty),
	on(exitFailed, adviseInTheWay),
	on(exitFailed, adviseFolder),
	on(exitFailed, func(e *report.BrokenError, _ string) string {
		return "move " + text.ShellPath(e.Path) + " away to go on without the lines so far"
	}),
	say[*run.ReplacedError](exitFailed, "begin again with a folder of its own: --out"),
	say[*serve.BadAddress](exitUsage, "--live=HOST:PORT, or --live alone for an address of this machine"),
	say[*serve.Unusable](exitFailed, "--live alone takes the next free port of this machine; or name another address"),
	say[*run.LockedError](exitLocked, "wait until it ends, or train elsewhere with --out"),
	on(exitFailed, func(e *cpu.Unavailable, _ string) string { return e.Next() }),
	on(exitNoGPU, adviseNoGPU),
	on(exitNoGPU, func(e adviser, _ string) string { return e.Next() }),
	on(exitUnreadable, adviseTooMany),
	on(exitUnreadable, adviseSize),
	on(exitUnreadable, func(e *picture.Unsupported, _ string) string {
		return mendForm(e) + ", or omit --strict to go past it"
	}),
	is(files.ErrPointer, exitUnreadable, fetchPointer),
	// Elsewhere than with --strict commands go past such a picture.
	say[*data.BadPicture](exitUnreadable, "repair or remove the picture, or omit --strict to go past it"),
	on(exitFailed, func(e *train.OtherData, _ string) string { return fromWeights(e) }),
	on(exitUsage, func(e *train.FrozenHead, _ string) string {
		key := "model." + e.Layer
		return "let it learn: omit it from --freeze, or --set " + key + ".freeze=false --set " + key + ".lr=1"
	}),
	on(exitFailed, adviseStopped),
	on(exitFailed, func(_ *train.Interrupted, again string) string { return again }),
	on(exitFailed, func(e *files.NoRoom, again string) string {
		do := freeSpace
		if e.Files {
			do = freeInodes
		}
		if again == "" {
			again = "the same command again"
		}
		return do + ", then " + again + "; or name a folder on another disk"
	}),
	on(exitFailed, func(_ *train.Hung, again string) string {
		next := "alexnet doctor checks the devices"
		if again != "" {
			next += "; then " + again
		}
		return next
	}),
	{is: isFull, code: exitFailed, next: func(err error, again string) string {
		if again == "" {
			return makeRoom(err) + ", or write to another disk"
		}
		return makeRoom(err) + ", then " + again
	}},
	{is: isDenied, code: exitFailed, next: adviseDenied},
}

// adviser is an error that knows what to do where that is not a command of ours: that of a library that is missing or
// lacks something, whenever that shows.
type adviser interface {
	error
	Next() string
}

// withNext is what is said about err in a line of its own, and what to do about it where err knows.
func withNext(said string, err error) string {
	if e := adviser(nil); errors.As(err, &e) {
		said += "; " + e.Next()
	}
	return said
}

// rule is what some errors mean.
type rule struct {
	is   func(error) bool
	code int
	next func(err error, again string) string // again is the command that goes on, where there is one
}

// on is the rule of the errors of one type.
func on[E error](code int, next func(e E, again string) string) rule {
	return rule{
		is:   func(err error) bool { return errors.As(err, new(E)) },
		code: code,
		next: func(err error, again string) string {
			var e E
			errors.As(err, &e)
			return next(e, again)
		},
	}
}

// say is on for a type of which always the same is to be said.
func say[E error](code int, next string) rule {
	return on(code, func(E, string) string { return next })
}

// is is the rule of errors that wrap target.
func is(target error, code int, next string) rule {
	return rule{
		is:   func(err error) bool { return errors.Is(err, target) },
		code: code, next: func(error, string) string { return next },
	}
}

// ruleOf is the rule that holds for err, or nil.
func ruleOf(err error) *rule {
	for i := range rules {
		if rules[i].is(err) {
			return &rules[i]
		}
	}
	return nil
}

// unfinished is the error of a command that can be gone on with, by the command again.
type unfinished struct {
	err   error
	again string
}

func (e *unfinished) Error() string { return e.err.Error() }
func (e *unfinished) Unwrap() error { return e.err }

func exitCode(err error) int {
	var own *commandError
	if errors.As(err, &own) {
		return own.code
	}
	if r := ruleOf(err); r != nil {
		return r.code
	}
	return exitFailed
}

// nextStep is the command or deed to try after err, "" where none is known.
func nextStep(err error) string {
	var own *commandError
	if errors.As(err, &own) && own.next != "" {
		return own.next
	}
	r := ruleOf(err)
	if r == nil {
		return ""
	}
	again := ""
	if begun := (*unfinished)(nil); errors.As(err, &begun) {
		again = begun.again
	}
	return r.next(err, again)
}

// showError prints err and the next step.
func showError(t *ui.Terminal, err error) { t.Fail(err.Error(), nextStep(err)) }

// correction is what to do about a mistake in a configuration.
func correction(e *config.Error) string {
	switch {
	case e.Override:
		return "correct " + text.Name(e.Source) + ", or omit it"
	case e.Line > 0:
		return fmt.Sprintf("correct line %d of %s", e.Line, text.ShellPath(e.Source))
	case e.Source == "":
		return "alexnet summary shows a net's layers, alexnet train --help flags and names"
	}
	return "correct " + text.ShellPath(e.Source) + ", or name another: " + strings.Join(config.Names(), ", ")
}

func adviseDevices(e *model.DevicesError, _ string) string {
	switch e.Columns {
	case 1:
		return fmt.Sprintf("give one device, or a net of %d columns (alexnet, cifar10, demo)", e.Devices)
	case e.Devices:
		return "give one device"
	default:
		return fmt.Sprintf("give one device or %d", e.Columns)
	}
}

func adviseNoGPU(e *noGPU, _ string) string {
	if lacks := adviser(nil); errors.As(e.err, &lacks) {
		return lacks.Next() + "; or omit --gpus: --device cpu,cpu shows the two columns on two devices"
	}
	return "omit --gpus, or use --device cpu,cpu to see the two columns on two devices"
}

func adviseSource(e *data.SourceError, _ string) string {
	missing := []data.Problem{data.NotFound, data.NotOpened, data.NotListed}
	if files.Remote(e.Path) && slices.Contains(missing, e.Problem) {
		return "check the path, and AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the " +
			"environment"
	}
	switch e.Problem {
	case data.NotFound:
		if path.Ext(e.Path) != "" { // a file's name, and generated pictures are a folder
			return "check the path"
		}
		return "check the path, or make generated pictures there with: alexnet data demo --out " +
			text.ShellPath(e.Path)
	case data.NotOpened:
		if errors.Is(e.Err, syscall.EMFILE) { // each shard is one
			return "raise the limit of open files (ulimit -n)"
		}
		return "check the path and its permissions"
	case data.NotListed:
		return "check its permissions"
	case data.NoPictures:
		if path.Ext(e.Path) != "" {
			return "give a folder of class folders with pictures in them, or a tar of that; alexnet data demo makes one"
		}
		return "put pictures into class folders (" + text.ShellPath(path.Join(e.Path, "cat/1.jpg")) +
			"), or make some: alexnet data demo --out " + text.ShellPath(e.Path)
	case data.NoClassFolders:
		return "move each picture into a folder named after its class, such as " +
			text.ShellPath(path.Join(e.Path, "cat/1.jpg"))
	case data.EmptyClass:
		return "put pictures into it or remove it"
	case data.LoosePart:
		return "move each picture into a folder named after its class, such as " +
			text.ShellPath(path.Join(e.Path, e.Detail, "cat/1.jpg")) + "; or give a file of their labels, --labels FILE"
	case data.EmptyPart:
		return "remove it, and a share of the training pictures is held out; or put class folders into it"
	case data.TwoParts:
		return "rename or move one of them"
	case data.NoShards:
		return "--set data.shuffle=full, or make shards of the pictures: " + prepareCommand(e)
	case data.Twice:
		return "move one of the two elsewhere"
	case data.PathTwice:
		return "give it once"
	case data.HoldsSets:
		return "give each set itself, such as --data " + text.ShellPath(path.Join(e.Path, e.Detail))
	case data.Unfinished:
		return "the same alexnet data prepare again goes on with it; then give what that makes"
	case data.BadNotes:
		return "download or unpack it again"
	case data.AskOrder, data.NoNumbers, data.WrongCount, data.BadList, data.NoLabel, data.Disagree, data.BadLabel:
		return adviseLabels(e)
	case data.NoPart:
		return "say so in its name, as in train.tar or photos-val; or put its pictures into train/ or val/ in it"
	case data.NoLabels:
		return "--labels takes index, ilsvrc-id, numbers, or the path of a file of labels"
	case data.MissingShard:
		return "copy or download it; to use only those that are there, correct or remove _info.json, and give files " +
			"with -of- in their names other names"
	case data.ShardCount:
		return "copy or download it again; or correct or remove _info.json"
	case data.BadSet:
		return "copy it again, or make it again with alexnet data prepare"
	case data.UnknownClass:
		return "remove it, or add the class to the training pictures"
	default:
		return adviseTar(e)
	}
}

// adviseTar is what to do about a file that cannot be read as a tar.
func adviseTar(e *data.SourceError) string {
	switch e.Problem {
	case data.OnlyThrough:
		return prepareCommand(e) + ", and give that folder instead"
	case data.Packed:
		return "unpack it and give the folder"
	case data.Compressed, data.OtherZip:
		return "unpack it and give the folder; of archives .tar, .tar.gz and .zip are read"
	case data.OtherForm:
		return foreignForms[data.Form(e.Detail)]
	case data.OtherParquet:
		return "in Python: datasets.Dataset.to_parquet writes one that is read, with a column image and a column label"
	case data.Damaged:
		return "copy or download it again"
	case data.Changes:
		return "wait until it is complete"
	case data.Pointer:
		return fetchPointer
	case data.OnePicture:
		return "give a folder of class folders, such as one with cat/1.jpg in it, or an uncompressed .tar"
	case data.CutOff, data.Hole:
		return "copy or download it again; check it with: tar tf " + text.ShellPath(e.Path)
	case data.Sparse:
		return "make it again without tar's --sparse"
	case data.NotRead:
		return "check it with: tar tf " + text.ShellPath(e.Path)
	default:
		return "give a folder of class folders, an uncompressed .tar, or a list of lines PATH LABEL, from its folder on"
	}
}

// prepareCommand makes a set of all that was given.
func prepareCommand(e *data.SourceError) string {
	at := data.At(e.Paths...)
	if len(e.Paths) == 0 {
		at = data.At(e.Path)
	}
	return "alexnet data prepare " + dataArgs(at) + " OUT"
}

// dataFlags are the flags that give pictures to a command, with a space before each.
func dataFlags(at data.Place) (flags string) {
	for _, path := range at.Paths {
		flags += " --data " + text.ShellPath(path)
	}
	return flags + labelsFlag(at)
}

// dataArgs are the arguments that give pictures to data info and data split.
func dataArgs(at data.Place) string {
	args := make([]string, len(at.Paths))
	for i, path := range at.Paths {
		args[i] = text.ShellPath(path)
	}
	return strings.Join(args, " ") + labelsFlag(at)
}

func labelsFlag(at data.Place) string {
	if at.Labels == "" {
		return ""
	}
	return " --labels " + text.ShellPath(at.Labels)
}

// adviseLabels is what to do about labels.
func adviseLabels(e *data.SourceError) string {
	switch e.Problem {
	case data.AskOrder:
		return "say it: --labels index (0 is tench: torchvision, timm, Caffe), --labels ilsvrc-id (1 is kit fox: the " +
			"development kit), --labels numbers (classes of their own), or --labels FILE, lines of a picture and its " +
			"WNID"
	case data.NoNumbers:
		return "omit --labels"
	case data.WrongCount:
		return "give the file of these pictures: a label a line in order of their names, or lines of a picture and " +
			"its label"
	case data.BadList:
		return "correct it: lines of a path, from the list's folder on, and a label; or columns path,label"
	case data.NoLabel:
		return "add its label, or remove it"
	case data.Disagree:
		return "take the labels from where the pictures come from; files of other labels beside them have to go"
	default:
		return "correct it, or take the data as they were published; what labels mean that are numbers, --labels " +
			"says: index, ilsvrc-id, numbers or FILE"
	}
}

// foreignForms say what to do about data of other programs.
var foreignForms = map[data.Form]string{
	data.TFRecord: "give the pictures that it was made of: a folder of class folders, or ILSVRC2012's tars",
	data.LMDB:     "give the pictures that it was made of: a folder of class folders, or ILSVRC2012's tars",
	data.RecordIO: "give the pictures that it was made of: the folder that im2rec.py was given",
	data.Beton:    "give the pictures that it was made of: a folder of class folders, or ILSVRC2012's tars",
	data.Arrow:    `in Python: datasets.load_dataset(...)["train"].to_parquet("train.parquet"), and give that`,
	data.NumPy:    "give the pictures in their own size: downsampled ones hold too little for these nets",
	data.Pickle:   "give the pictures themselves; of CIFAR the binary form: alexnet data fetch cifar10",
	data.HDF5:     "give the pictures that it was made of: a folder of class folders",
}

// adviseUnreachable goes on where the download was cut off.
func adviseUnreachable(e *fetch.Unreachable, _ string) string {
	next := "check the network (a proxy: HTTPS_PROXY), then the same command again"
	if e.Have > 0 {
		next += fmt.Sprintf(": it goes on after %.1f MB", float64(e.Have)/1e6)
	}
	return next
}

// adviseFetchInterrupted tells that what was downloaded is not lost.
func adviseFetchInterrupted(e *fetch.Interrupted, _ string) string {
	if e.Have == 0 {
		return ""
	}
	return fmt.Sprintf("the same command again goes on after %.1f MB", float64(e.Have)/1e6)
}

// adviseDiffers is what to do about another set that was begun in the place of this one.
func adviseDiffers(e *prepare.Differs, _ string) string {
	anew := "begin anew: rm -r " + text.ShellPath(e.Partial)
	if len(e.What) == 0 {
		return anew
	}
	return "the command that began it goes on with it; or " + anew
}

// advisePrepareInterrupted tells that what was done is not lost.
func advisePrepareInterrupted(e *prepare.Interrupted, _ string) string {
	if e.Done == 0 {
		return ""
	}
	return fmt.Sprintf("the same command again goes on after %s of %s", text.Grouped(int64(e.Done)),
		text.Count(e.All, "picture"))
}

// adviseFault is what to do about data that went away.
func adviseFault(e *data.SourceFault, again string) string {
	do := "bring the data back"
	switch {
	case e.Changed:
		do = "put the file back as it was"
	case e.Damaged:
		do = "copy or download it again"
	case errors.Is(e, syscall.EMFILE):
		do = "raise the limit of open files (ulimit -n)"
	case errors.Is(e, syscall.ENFILE):
		do = "end what holds so many files open on this machine"
	case errors.Is(e, syscall.ENOMEM):
		do = "end what takes the memory of this machine"
	case errors.Is(e, fs.ErrPermission):
		do = "check the permissions of its folders"
	}
	if again == "" {
		again = "try again"
	}
	return do + ", then " + again
}

// adviseTooMany is what to do about data of which too much is bad. To remove the pictures would make it other data,
// with which the run could not go on.
func adviseTooMany(e *train.TooManyBad, again string) string {
	look := "look at them"
	if len(e.Data.Paths) > 0 {
		look = "alexnet data info --full " + dataArgs(e.Data) + " names them all"
	}
	if again == "" {
		again = "try again"
	}
	return fmt.Sprintf("%s: repair them, then %s; or go past them with --set data.bad_share=1", look, again)
}

func adviseSize(e *data.SizeError, _ string) string {
	mend := "let data.resize make all pictures one size"
	if e.Alone {
		mend = fmt.Sprintf("give a picture of %dx%d, for this net was trained without resizing", e.WantWidth,
			e.WantHeight)
	}
	return mend + ", or omit --strict to go past this one"
}

// adviseBadIndex has only an index written over.
func adviseBadIndex(e *neighbors.BadIndex, _ string) string {
	if e.Other {
		return "an index is needed: alexnet look index DATA --out NEW makes one"
	}
	return "make it anew: alexnet look index DATA --out " + text.ShellPath(e.Path) + " --force"
}

func adviseBadFile(e *tensor.BadFile, _ string) string {
	switch e.Fault {
	case tensor.OtherFormat:
		return "a checkpoint is needed, such as checkpoints/best.safetensors in a run folder; of other programs' " +
			"weights alexnet weights import makes one"
	case tensor.OtherType:
		return "floating-point tensors are needed: F32, F64, F16 or BF16"
	case tensor.Pointer:
		return fetchPointer
	default:
		return "take another copy of it; of a run's checkpoints, the other one"
	}
}

func adviseForeign(e *checkpoint.Foreign, _ string) string {
	if e.Version == "" {
		return "make a checkpoint of it: alexnet weights import " + text.ShellPath(e.Path) + " --out NEW"
	}
	return "use the version of alexnet that wrote it, or a newer one"
}

func adviseExported(e *interop.Exported, _ string) string {
	back := "; or make a checkpoint of it: alexnet weights import " + text.ShellPath(e.Path) + " --out NEW"
	if e.Source == "" {
		return "use the checkpoint that it was made from" + back
	}
	return "use the checkpoint that it was made from: " + text.ShellPath(e.Source) + back
}

func adviseMismatch(e *checkpoint.Mismatch, _ string) string {
	switch e.Kind {
	case checkpoint.NoMomentum:
		return "resume from checkpoints/last.safetensors, or begin a new run from these weights with --init"
	default:
		return "omit --config: --init takes the configuration that the file carries (alexnet weights show " +
			text.ShellPath(e.Path) + " prints it); or take another file"
	}
}

func adviseRefused(e *interop.Refused, _ string) string {
	if e.Dropout != "" {
		return "train without that dropout layer: --set model." + e.Dropout + "=off"
	}
	return "export it under its own names: --to plain; the net that torchvision has is trained by " +
		"alexnet train --config torchvision"
}

// importHelp lists the forms of files.
const importHelp = "alexnet weights import --help says what is read"

// adviseOtherForm is what to do about a file that is not of a form that is read, though it may begin so.
func adviseOtherForm(e *interop.OtherForm, _ string) string {
	if next, known := otherForms[e.Form]; known {
		return next
	}
	return importHelp
}

// otherForms say what to do about weights in forms that are not read.
var otherForms = map[interop.Form]string{
	interop.HDF5: "of Keras, in Python: numpy.savez of the arrays, named conv1.weight, conv1.bias and so on, " +
		"(out, in, height, width) and (out, in), and give that .npz; of Caffe (.caffemodel.h5): give the " +
		".caffemodel, which Caffe writes with snapshot_format: BINARYPROTO",
	interop.Matlab: "MatConvNet's nets are Caffe's, converted: give the .caffemodel that it was made of",
	interop.Darknet: "darknet's alexnet has neither normalisation nor groups, and is none of the nets here; give " +
		"torchvision's or Caffe's weights",
	interop.CaffeV0:  "Caffe's own upgrade_net_proto_binary makes a newer one of it: give that",
	interop.Prototxt: "give the .caffemodel that belongs to it",
	interop.Packed:   "unpack it, and give the file in it",
	interop.Archive: "unpack it and give the file in it; what PyTorch saved in 2016 has to be loaded and saved anew " +
		"there: torch.save(torch.load(FILE), NEW)",
	interop.NotFile: "give the file itself; alexnet weights import --help says what is read",
	interop.NoForm:  importHelp,
}

// refusedPickles say how to get the weights out of a file of PyTorch's that holds more than these.
var refusedPickles = map[pth.Kind]string{
	pth.WholeModel: "in Python, where its class is at hand: torch.save(torch.load(FILE, weights_only=False)" +
		".state_dict(), NEW)",
	pth.TorchScript: "in Python: torch.save(torch.jit.load(FILE).state_dict(), NEW)",
	pth.Tar: "in Python, with an old PyTorch that still reads it: torch.save(torch.load(FILE), NEW), and give the " +
		"new one",
	pth.OtherGlobal: `in Python, of its part with the weights only: torch.save(torch.load(FILE, ` +
		`weights_only=False)["state_dict"], NEW)`,
}

func adviseUnfit(e *interop.Unfit, _ string) string {
	switch {
	case len(e.Rows) == 0:
		return "give a file of weights of an AlexNet, such as a state dict"
	case e.Asked:
		return "omit --config to have the net recognised, or name another: " + strings.Join(config.Names(), ", ")
	}
	return "--config FILE with a page of this net; the nearest to begin with: alexnet config --config " +
		text.ShellWord(e.Net) + " --yaml"
}

func adviseNotEmpty(e *run.NotEmptyError, _ string) string {
	if e.Run {
		return "go on with it by --resume " + text.ShellPath(e.Path) + ", or name a new one with --out"
	}
	if e.Begun {
		return "rm -r " + text.ShellPath(e.Path) + " to begin again, or name a new one with --out"
	}
	return "name a new one with --out"
}

func adviseFolder(e *run.FolderError, _ string) string {
	switch {
	case !e.There:
		return "name one that can be written with --out"
	case isFull(e.Err):
		return makeRoom(e.Err) + ", then try again"
	case errors.Is(e.Err, syscall.EROFS):
		return "copy the run to where it can be written, and go on with the copy, then try again"
	default:
		return "make it writable for this user, then try again"
	}
}

// fromWeights is the command that begins a new run with other pictures from where this one is.
func fromWeights(e *train.OtherData) string {
	next := "alexnet train --config " + text.ShellPath(e.Config)
	next += dataFlags(e.Data)
	if !e.Fits {
		return next
	}
	return next + " --init " + text.ShellPath(e.Checkpoint)
}

func adviseStopped(e *train.Stopped, _ string) string {
	rate, try := e.Lower()
	if !try {
		return fmt.Sprintf("the rate, %.2g by then, is hardly the cause; alexnet doctor checks what computed this",
			e.Now)
	}
	lower := "--set " + train.Change{Key: "train.lr", Value: rate}.String()
	if e.Checkpoint == "" {
		return "a lower rate (" + lower + ") or smaller initial weights (--set model.LAYER.init.std=0.005)"
	}
	next := "a new run from there with a lower rate: alexnet train"
	if e.Config != "" {
		next += " --config " + text.ShellPath(e.Config)
	}
	return next + dataFlags(e.Data) + " --init " + text.ShellPath(e.Checkpoint) + " " + lower
}

// wordNote is a note of a run with what could be done.
func wordNote(n train.Note) string {
	const parts = "give data with folders train/ and val/"
	switch n := n.(type) {
	case train.NoValidation:
		switch {
		case n.Resumed:
			return n.String()
		case n.Share == 0:
			return n.String() + "; no class has a picture to spare: " + parts
		}
		return fmt.Sprintf("%v; --set data.val_share=%g would hold some out, or %s", n, n.Share, parts)
	case *train.DeadStart:
		var tries []string
		for _, changes := range n.Try {
			var sets []string
			for _, c := range changes {
				sets = append(sets, "--set "+c.String())
			}
			tries = append(tries, strings.Join(sets, " "))
		}
		return fmt.Sprintf("%v Try a new run with %s, or from weights that have learned something: --init FILE.", n,
			strings.Join(tries, ", or with "))
	case train.HighLoss:
		var tries []string
		if n.Lower {
			tries = append(tries, "with --set "+train.Change{Key: "train.lr", Value: n.LR}.String())
		}
		if n.Suits != "" {
			tries = append(tries, "with --config "+n.Suits+", which suits these pictures better")
		}
		tries = append(tries, "from weights that have learned something: --init FILE")
		return fmt.Sprintf("%v Try a new run %s.", n, strings.Join(tries, ", or "))
	case *train.Edited:
		return n.String() + adviseEdited(n)
	case train.LeftOut:
		return n.String() + hintOf(n.Picture)
	case train.NotSaved:
		return n.String() + hintOfRoom(n.Err)
	case train.NotRecorded:
		return n.String() + hintOfRoom(n.Err)
	}
	return n.String()
}

// adviseEdited is what to do with an edited page of a run that goes on, to follow what is said about it: what of it can
// be typed, else to begin anew.
func adviseEdited(e *train.Edited) string {
	page := e.Path
	if e.Kept != "" {
		page = e.Kept
	}
	switch {
	case e.Err != nil:
		return "; corrected, it could begin a new run"
	case len(e.Keys) == 0:
		return ""
	case config.OneRun(e.Keys):
		return "; --resume takes " + strings.ReplaceAll("--set "+strings.Join(e.Keys, "=..., --set ")+"=...",
			"--set train.epochs=...", "--epochs N")
	}
	next := "; a new run with it: alexnet train --config " + text.ShellPath(page)
	return next + dataFlags(e.Data) + " --init " + text.ShellPath(e.Checkpoint)
}

// hintOfRoom is what to do about a file that found no room, to follow what is said about it.
func hintOfRoom(err error) string {
	if !isFull(err) {
		return ""
	}
	return "; " + makeRoom(err)
}

// hintOf is what could be done about a picture that is left out, or why it could not be taken, to follow what is said
// about it.
func hintOf(err error) string {
	var size *data.SizeError
	var form *picture.Unsupported
	switch {
	case errors.Is(err, files.ErrPointer):
		return "; " + fetchPointer
	case errors.As(err, &form):
		return "; " + mendForm(form)
	case !errors.As(err, &size):
		return ""
	case size.Alone:
		return "; this net was trained on pictures of that size, without resizing"
	}
	return "; data.resize makes all pictures one size"
}

// adviseInTheWay is what to do about something that stands where a run writes a file of its own.
func adviseInTheWay(e *files.InTheWay, again string) string {
	next := "move " + text.ShellPath(e.Path) + " away"
	if e.Mode&fs.ModeSymlink != 0 {
		next = "remove the link, or put a copy of what it leads to in its place: " + text.ShellPath(e.Path)
	}
	if again != "" {
		next += "; then " + again
	}
	return next
}

// isDenied tells whether the system refused to read or to write.
func isDenied(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// adviseDenied tells reading from writing, by what the system was asked to do.
func adviseDenied(err error, _ string) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) && !errors.Is(err, syscall.EROFS) {
		switch p.Op {
		case "open", "read", "readdirent", "stat", "lstat", "readlink":
			return "ask for the permission to read it: ls -ld " + text.ShellPath(p.Path) + " shows who has it"
		}
	}
	return "name a place that you can write to, or ask for the permission"
}

// makeRoom is what to do where there was none.
func makeRoom(err error) string {
	switch {
	case errors.Is(err, syscall.EFBIG):
		return "raise the limit on the size of a file (ulimit -f shows yours; file systems have their own)"
	case errors.Is(err, syscall.EDQUOT):
		return "free some of your quota (quota -s shows it; files count as well as bytes)"
	}
	path := ""
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		path = p.Path
	}
	if f := (*atomicfile.Failed)(nil); errors.As(err, &f) {
		path = f.Path
	}
	if path != "" && files.NoInodes(filepath.Dir(path)) {
		return freeInodes
	}
	return freeSpace
}

const (
	freeSpace  = "free some space"
	freeInodes = "free some inodes: there is space left (df), but none for another file (df -i); remove many small ones"
)

// fetchPointer is what brings the file that a pointer stands for.
const fetchPointer = "git lfs pull, in its repository, fetches it"

// installTurbo is how libjpeg-turbo comes here.
const installTurbo = "install libjpeg-turbo's TurboJPEG (Debian, Ubuntu: apt-get install libturbojpeg0)"

// mendForm is what to do about a picture in a form that is not read.
func mendForm(e *picture.Unsupported) string {
	if e.NeedsTurbo {
		return installTurbo
	}
	return "convert it to PNG or baseline JPEG"
}

// isFull tells whether there was no room for a file: the disk, a quota, a limit.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// smallPage is the page for pictures that are few or small for a net. It learned most, on average, from 10, 20 and 36
// pictures of each of three classes of CIFAR-10: of 300 others 48.2% were wrong at its end, 48.6% at that of
// cifar10-quick and 50.8% at that of demo; of many it learns far more than either.
const smallPage = "cifar10"

// unsuited says why pictures do not suit the net that is to be trained on them, and what to train instead.
type unsuited struct {
	data data.Place
	few  int // so many of each class, which are few; 0: they are enough
	side int // of most, which is smaller than what the net sees; 0: they are large enough
	size int // that they are enlarged to
}

func (u *unsuited) String() string {
	var why []string
	if u.few > 0 {
		why = append(why, text.Count(u.few, "picture")+" a class is too few for this net")
	}
	if u.side > 0 {
		why = append(why, fmt.Sprintf("pictures of %d pixels are enlarged to %d", u.side, u.size))
	}
	return fmt.Sprintf("%s; a small net suits them: alexnet train --config %s%s", strings.Join(why, ", and "),
		smallPage, dataFlags(u.data))
}
