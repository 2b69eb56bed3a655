package main

import "slices"

// inProcessRows is what is done below a process: to its calls, its disk and the files that it reads.
func inProcessRows() []row {
	return slices.Concat([]row{failingCalls, realCalls}, cuts(), []row{
		fullDisk, flips, runFlips, spoiltParquet, spoiltZips, spoiltWeights, craftedPictures,
		mutatedPictures, foreign, fuzz,
		shardFlips, indexFlips,
	})
}
