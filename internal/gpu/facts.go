//go:build cuda

package gpu
