//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package embedded

// lock does nothing where files cannot be locked by package syscall.
func lock(string) (release func() error, err error) {
	return func() error { return nil }, nil
}
