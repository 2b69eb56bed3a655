package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// onTerminal begins the run on a pseudo-terminal, which sends SIGHUP when its master is closed.
func (l *lab) onTerminal(ctx context.Context, t *target) (p *process, master *os.File, err error) {
	master, slave, err := openTerminal()
	if err != nil {
		return nil, nil, err
	}
	defer slave.Close() //nolint:errcheck // the process has its own
	p, err = l.begin(ctx, t, func(c *exec.Cmd) {
		c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
		c.Env = append(os.Environ(), "TERM=xterm")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	})
	if err != nil {
		_ = master.Close()
		return nil, nil, err
	}
	return p, master, nil
}

func openTerminal() (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, skip("no pseudo-terminals here: %v", err)
	}
	defer func() {
		if err != nil {
			_ = master.Close()
		}
	}()
	raw, err := master.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	number := 0
	if e := raw.Control(func(fd uintptr) { // Fd would take the master out of the poller: Close could not end a Read
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err == nil {
		err = e
	}
	if err != nil {
		return nil, nil, err
	}
	if slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, skip("no pseudo-terminals here: %v", err)
	}
	return master, slave, nil
}
