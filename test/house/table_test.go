package house

// table says what each package imports besides the standard library, tests apart. It is written from the bottom up, in
// the order of the drawing in docs/design.md ("The house"): a package stands below all that import it.
var table = []struct{ pkg, imports string }{
	// What is embedded: nets and GPU code.
	{"configs", ""},
	{"kernels", ""},

	// Words, files, numbers: of use to other programs too.
	{"machine", "golang.org/x/sys"},
	{"philox", ""},
	{"text", ""},
	{"ui", "github.com/vbauerster/mpb/v8 golang.org/x/term text"},
	{"files", "golang.org/x/sys"},
	{"files/filestest", "files"},
	{"lockfile", "files"},
	{"atomicfile", "files lockfile"},
	{"run", "files lockfile"},

	// Formats know no checkpoint.
	{"safetensors", "atomicfile files text"},
	{"npy", "atomicfile codeberg.org/sbinet/npyio files"},
	{"golden", "philox safetensors"},

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
	{"cpu", "device device/backend golang.org/x/sys philox"},
	{"reference", "device device/backend gonum.org/v1/gonum philox"},

	// The page, and what it says of pictures. config knows device for the names of precisions.
	{"config", "configs device github.com/goccy/go-yaml text"},
	{"recipe", "config text"},

	// Pictures: whoever decodes them knows no device and no net.
	{"data/picture", "golang.org/x/image"},
	{"data", "config data/picture files gonum.org/v1/gonum machine philox recipe"},
	{"data/demo", "data files philox"},

	// Checkpoints know neither the net nor what computes it.
	{"checkpoint", "files recipe safetensors text"},
	{"builtin", "checkpoint safetensors"},

	// What is computed: devices are met only through the contract, the command picks the backend.
	{"model", "config device philox recipe text"},
	{"model/modeltest", "config device golden model recipe"},
	{"schedule", "config model"},

	// A step is the same for a run and for a bench.
	{"step", "config data device model"},
	{"step/steptest", "config data data/demo device files model"},

	// A net in other programs' words, and whether devices compute it right.
	{"interop", "atomicfile checkpoint config device files model npy safetensors text"},
	{"selftest", "config device model philox recipe"},

	// What is written about a run is given numbers and steps.
	{"report", "atomicfile files golang.org/x/image gonum.org/v1/plot google.golang.org/protobuf"},

	// Using nets and measuring them know no training loop.
	{"bench", "config data device model philox recipe schedule step"},
	{"infer", "checkpoint config data device files model recipe safetensors step text"},
	{"train", "atomicfile checkpoint config data data/picture device infer model recipe report run schedule step text"},

	// The only place that picks a backend, and that knows flags.
	{
		"cmd/alexnet",
		"bench builtin checkpoint config cpu data data/demo data/picture device files github.com/spf13/cobra " +
			"github.com/spf13/pflag gpu infer interop machine model npy recipe reference report run safetensors " +
			"selftest step text train ui",
	},
}
