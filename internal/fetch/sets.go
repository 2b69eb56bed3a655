package fetch

import "slices"

const (
	toronto  = "https://www.cs.toronto.edu/~kriz/"
	fastai   = "https://s3.amazonaws.com/fast-ai-imageclas/"
	tfds     = "tensorflow-datasets 4.9.10"
	stanford = "http://cs231n.stanford.edu/"
)

// sets are the data sets known by name. Sizes and checksums are those of tensorflow-datasets 4.9.10 (url_checksums and
// datasets/imagenette/checksums.tsv). It has none of imagewoof and Tiny ImageNet.
var sets = []Set{
	{
		"cifar10", toronto + "cifar-10-binary.tar.gz", 170_052_171,
		"c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", tfds,
	},
	{
		"cifar100", toronto + "cifar-100-binary.tar.gz", 168_513_733,
		"58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", tfds,
	},
	{
		"imagenette", fastai + "imagenette2.tgz", 1_557_161_267,
		"6cbfac238434d89fe99e651496f0812ebc7a10fa62bd42d6874042bf01de4efd", tfds,
	},
	{
		"imagenette-320", fastai + "imagenette2-320.tgz", 341_663_724,
		"569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c", tfds,
	},
	{
		"imagenette-160", fastai + "imagenette2-160.tgz", 99_003_388,
		"64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5", tfds,
	},
	{"imagewoof", fastai + "imagewoof2.tgz", 0, "", ""},
	{"imagewoof-320", fastai + "imagewoof2-320.tgz", 0, "", ""},
	{"imagewoof-160", fastai + "imagewoof2-160.tgz", 0, "", ""},
	{"tiny-imagenet", stanford + "tiny-imagenet-200.zip", 0, "", ""},
}

// Sets are the data sets known by name.
func Sets() []Set { return slices.Clone(sets) }

// Find is the set of a name.
func Find(name string) (Set, bool) {
	i := slices.IndexFunc(sets, func(s Set) bool { return s.Name == name })
	if i < 0 {
		return Set{}, false
	}
	return sets[i], true
}
