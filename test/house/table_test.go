package house

// table says what each package imports besides the standard library, tests apart. It is written from the bottom up, in
// the order of the drawing in docs/design.md ("The house"): a package stands below all that import it.
var table = []struct{ pkg, imports string }{
	// What is embedded: nets and GPU code.
	{"configs", ""},
	{"kernels", ""},

	// Words, files, numbers: of use to other programs too.
	{"philox", ""},
	{"stats", "gonum.org/v1/gonum philox"},
	{"text", ""},
	{"ui", "github.com/vbauerster/mpb/v8 golang.org/x/term text"},
	{"files", "golang.org/x/sys text"},
	{"files/filestest", "files"},
	{"machine", "files golang.org/x/sys"},
	{"sharedtest", ""},
	{"nettest", ""},
	{"browsertest", "github.com/chromedp/cdproto github.com/chromedp/chromedp"},
	{"lockfile", "files"},
	{"atomicfile", "files lockfile text"},
	{"run", "atomicfile files lockfile"},
	{"serve", "text"}, // the guard of what is offered to browsers
	{"s3", "atomicfile files github.com/minio/minio-go/v7 text"},

	// Pictures for people to look at: of numbers and words, whatever they are of.
	{
		"figure",
		"atomicfile codeberg.org/go-fonts/liberation files golang.org/x/image gonum.org/v1/plot",
	},

	// Formats know no checkpoint.
	{"shards", "files"},
	{"tensor", "files text"},
	{"safetensors", "atomicfile files tensor text"},
	{"pickle", "tensor text"}, // Python's, as data; of PyTorch and NumPy
	{"zipped", "tensor text"},
	{"pth", "files pickle tensor text zipped"},
	{"npy", "files pickle tensor zipped"},
	{"wire", "files google.golang.org/protobuf tensor"},
	{"wire/wiretest", "google.golang.org/protobuf"},
	{"caffe", "files google.golang.org/protobuf tensor text wire"},
	{"onnx", "files google.golang.org/protobuf tensor text wire"},
	{"parquet", "github.com/klauspost/compress text"},
	{"neighbors", "atomicfile files gonum.org/v1/gonum tensor text"}, // the index of a set, and the search in it
	{"golden", "philox safetensors"},

	// What strangers could send, for the tests of all others.
	{"crafted", ""},

	// The contract between nets and processors knows nobody, so that a stranger can implement it; its suite knows what
	// PyTorch computed.
	{"device", ""},
	{"device/backend", "device"},
	{"device/devicetest", "device golden philox"},

	// Backends know the contract, and each other not at all. The reference is the oracle: as little as possible.
	{"gpu/dynlib", ""},
	{"gpu/dynlib/dynlibtest", ""},
	{"gpu/cuda", "gorgonia.org/cu gpu/dynlib"},
	{"gpu", "device device/backend gorgonia.org/cu gpu/cuda gpu/dynlib kernels philox"},
	{"cpu", "device device/backend golang.org/x/sys machine philox"},
	{"reference", "device device/backend gonum.org/v1/gonum philox"},

	// The page, and what it says of pictures. config knows device for the names of precisions.
	{"config", "configs device github.com/goccy/go-yaml text"},
	{"recipe", "config text"},

	// What is known of ILSVRC2012 before any of it was read.
	{"imagenet", ""},

	// Pictures: whoever decodes them knows no device and no net.
	{"data/picture", "files golang.org/x/image"},
	{"data/picture/picturetest", "golang.org/x/image"},
	{
		"data",
		"atomicfile config data/picture files github.com/klauspost/compress golang.org/x/text gonum.org/v1/gonum " +
			"imagenet machine parquet philox recipe safetensors shards tensor text",
	},
	{"data/demo", "data files philox"},
	{"fetch", "atomicfile files lockfile text"},
	{"prepare", "atomicfile config data data/picture files lockfile recipe shards text"},

	// Checkpoints know neither the net nor what computes it.
	{"checkpoint", "config files recipe safetensors tensor text"},
	{"builtin", "checkpoint safetensors"},

	// What is computed: devices are met only through the contract, the command picks the backend.
	{"model", "config device philox recipe text"},
	{"model/modeltest", "config device golden model recipe"},
	{"schedule", "config model"},

	// A step is the same for a run and for a bench.
	{"step", "config data device machine model"},
	{"step/steptest", "config data data/demo device files model"},

	// A net in other programs' words, and whether devices compute it right.
	{
		"interop",
		"atomicfile caffe checkpoint config device files imagenet model npy onnx pth recipe safetensors tensor " +
			"text zipped",
	},
	{"selftest", "config device model philox recipe"},

	// What is written about a run is given numbers and steps.
	{"report", "atomicfile files golang.org/x/image gonum.org/v1/plot google.golang.org/protobuf text"},

	// Whether files are what was written: every format, and what a run's files say of each other.
	{"verify", "checkpoint config files model neighbors npy report safetensors tensor text"},

	// Using nets and measuring them know no training loop.
	{"bench", "config data data/picture device model philox recipe schedule step text"},
	{"infer", "checkpoint config data device files imagenet model philox recipe stats step tensor text"},
	// A page shows what runs wrote of themselves and what their nets answer; it opens none of them.
	{"report/page", "figure infer report text"},
	{"live", "report report/page serve text"},
	{
		"train",
		"atomicfile checkpoint config data data/picture device figure files infer model recipe report run schedule " +
			"step text",
	},

	// The only place that picks a backend, and that knows flags.
	{
		"cmd/alexnet",
		"atomicfile bench builtin checkpoint config cpu data data/demo data/picture device fetch figure files " +
			"github.com/spf13/cobra github.com/spf13/pflag gpu imagenet infer interop live machine model neighbors " +
			"npy onnx prepare pth recipe reference report report/page run s3 safetensors selftest serve shards " +
			"stats step tensor text train ui verify",
	},

	// The campaign of faults drives the program from outside, and its floors from within.
	{
		"test/faults",
		"checkpoint config crafted data data/picture data/picture/picturetest files files/filestest " +
			"golang.org/x/sys google.golang.org/protobuf interop machine parquet pth reference report run " +
			"safetensors step/steptest tensor train verify",
	},
}
