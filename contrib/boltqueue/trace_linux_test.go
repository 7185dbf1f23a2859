//go:build linux && amd64

package boltqueue_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// step is a system call that changes a file or makes a change durable, or a
// line that the process has reported.
type step struct {
	Call   string // "write", "sync", "truncate" or "report"
	File   string // base name
	Offset int64  // of a write; the length of a truncation
	Data   []byte
}

// tracer follows the system calls of a process. Calls of one process that do
// not overlap are steps in their order: a write counts from its beginning, a
// sync from its end.
type tracer struct {
	steps   []step
	pending map[int]*step // by thread, of calls under way
}

// The system calls of amd64.
const (
	sysWrite     = 1
	sysPwrite    = 18
	sysFsync     = 74
	sysFdatasync = 75
	sysFtruncate = 77
)

// trace runs a test of this binary as a child and returns its steps. It waits
// for any child, so nothing else may start one meanwhile.
func trace(t *testing.T, test string, env ...string) []step {
	t.Helper()
	runtime.LockOSThread() // ptrace is a matter of one thread
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^"+test+"$", "-test.timeout=2m")
	child.Env = append(os.Environ(), env...)
	child.Stdout, err = os.Create(filepath.Join(t.TempDir(), "stdout"))
	require.NoError(t, err)
	child.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	require.NoError(t, child.Start())
	tr := &tracer{pending: make(map[int]*step)}
	exit, err := tr.follow(child.Process.Pid)
	require.NoError(t, err)
	require.Zero(t, exit, "the traced process must succeed")
	return tr.steps
}

// follow lets the process run from stop to stop until it exits.
func (tr *tracer) follow(pid int) (exit int, err error) {
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WALL, nil); err != nil {
		return 0, fmt.Errorf("first stop: %w", err)
	}
	const exitKill = 0x100000
	options := syscall.PTRACE_O_TRACESYSGOOD | syscall.PTRACE_O_TRACECLONE | exitKill
	if err := syscall.PtraceSetOptions(pid, options); err != nil {
		return 0, fmt.Errorf("set options: %w", err)
	}
	for thread := pid; ; {
		signal := 0
		if status.Stopped() {
			switch stop := status.StopSignal(); stop {
			case syscall.SIGTRAP | 0x80:
				if err := tr.systemCall(pid, thread); err != nil {
					return 0, err
				}
			case syscall.SIGTRAP, syscall.SIGSTOP: // events and new threads
			default:
				signal = int(stop)
			}
			if err := syscall.PtraceSyscall(thread, signal); err != nil && err != syscall.ESRCH {
				return 0, fmt.Errorf("go on: %w", err)
			}
		}
		thread, err = syscall.Wait4(-1, &status, syscall.WALL, nil)
		if err != nil {
			return 0, fmt.Errorf("next stop: %w", err)
		}
		if thread == pid && (status.Exited() || status.Signaled()) {
			return status.ExitStatus(), nil
		}
	}
}

// systemCall notes the beginning or the end of a call.
func (tr *tracer) systemCall(pid, thread int) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(thread, &regs); err != nil {
		return fmt.Errorf("registers: %w", err)
	}
	if begun, ok := tr.pending[thread]; ok {
		delete(tr.pending, thread)
		if begun != nil && begun.Call == "sync" && regs.Rax == 0 {
			tr.steps = append(tr.steps, *begun)
		}
		return nil
	}
	begun, err := begin(pid, &regs)
	if err != nil {
		return err
	}
	tr.pending[thread] = begun
	if begun != nil && begun.Call != "sync" {
		tr.steps = append(tr.steps, *begun)
	}
	return nil
}

// begin returns the step of a call, or nil for calls of other kinds.
func begin(pid int, regs *syscall.PtraceRegs) (*step, error) {
	file, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, regs.Rdi))
	s := &step{File: filepath.Base(file)}
	switch regs.Orig_rax {
	case sysFsync, sysFdatasync:
		s.Call = "sync"
		return s, nil
	case sysFtruncate:
		s.Call, s.Offset = "truncate", int64(regs.Rsi)
		return s, nil
	case sysPwrite:
		s.Call, s.Offset = "write", int64(regs.R10)
	case sysWrite:
		if regs.Rdi != 1 {
			return nil, nil //nolint:nilnil // of no interest
		}
		s.Call = "report"
	default:
		return nil, nil //nolint:nilnil // of no interest
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	defer func() { _ = memory.Close() }()
	s.Data = make([]byte, regs.Rdx)
	if _, err := memory.ReadAt(s.Data, int64(regs.Rsi)); err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	return s, nil
}

// TestTraceSeesCalls: the tracer itself.
func TestTraceSeesCalls(t *testing.T) {
	if path, child := os.LookupEnv(childPath); child {
		file, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, file.Truncate(100))
		_, err = file.WriteAt([]byte("hello"), 7)
		require.NoError(t, err)
		require.NoError(t, file.Sync())
		report("done", "")
		return
	}
	var seen bytes.Buffer
	for _, s := range trace(t, "TestTraceSeesCalls", childPath+"="+newPath(t)) {
		if s.File == "queue.db" || strings.HasPrefix(string(s.Data), "done") {
			_, _ = fmt.Fprintf(&seen, "%s %d %q; ", s.Call, s.Offset, s.Data)
		}
	}
	require.Equal(
		t,
		`truncate 100 ""; write 7 "hello"; sync 0 ""; report 0 "done\n"; `,
		seen.String(),
	)
}
