//go:build !(linux || darwin)

package files

// Descriptors is how many files a process may have open at a time on most systems.
func Descriptors() int { return usualDescriptors }
