// Package serve guards what the program offers to browsers: where it listens, who may ask, with which deadlines, and
// the headers of every answer. What is answered is its callers' business: it knows nothing of runs and nets, reads no
// file, and uses of the program only text, for the words of its errors.
//
// A page elsewhere that a browser shows can send requests to this machine, also by a name of its own that it lets lead
// here (DNS rebinding). So the Host of a request has to be one of the names of this machine, or the one that was asked
// for, before anything else is looked at; and an address that others can reach asks for a token.
package serve

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"alexnet/internal/text"
)

// Ports that are tried in turn where none was named. TensorBoard's own is 6006, and browsers refuse 6000 and some from
// 6665 on.
const (
	FirstPort = 6160
	LastPort  = FirstPort + 99
)

// Bounds of requests and answers.
const (
	headerTime  = 5 * time.Second // to send the head of a request
	answerTime  = 30 * time.Second
	idleTime    = time.Minute
	headerBytes = 8 << 10
	connections = 256      // at once: each is an open file, of which training needs some too
	sendBytes   = 64 << 10 // that the system keeps of an answer; left to itself it takes megabytes of who reads nothing
)

// BadAddress is an address that cannot be meant.
type BadAddress struct{ Addr, Reason string }

func (e *BadAddress) Error() string {
	return fmt.Sprintf("address %s: %s", text.Name(e.Addr), e.Reason)
}

// Unusable is an address that cannot be listened on: it is taken, or not of this machine.
type Unusable struct {
	Addr string
	Err  error
}

func (e *Unusable) Error() string {
	return fmt.Sprintf("cannot listen on %s: %v", text.Name(e.Addr), e.Err)
}
func (e *Unusable) Unwrap() error { return e.Err }

// Check tells whether an address can be meant: HOST:PORT, [IPV6]:PORT, :PORT for all of the machine's addresses, PORT
// or nothing for loopback. Nothing also means the next free port.
func Check(addr string) error {
	_, _, err := split(addr)
	return err
}

func split(addr string) (host, port string, err error) {
	switch _, e := strconv.Atoi(addr); {
	case addr == "":
		return "localhost", "", nil
	case e == nil:
		host, port = "localhost", addr
	default:
		if host, port, e = net.SplitHostPort(addr); e != nil {
			return "", "", &BadAddress{addr, "want HOST:PORT, or PORT"}
		}
	}
	if n, e := strconv.ParseUint(port, 10, 16); e != nil || n == 0 || port[0] == '0' {
		return "", "", &BadAddress{addr, "the port is a number from 1 to 65535"}
	}
	if strings.ContainsFunc(host, func(r rune) bool {
		return r != '-' && r != '.' && r != ':' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	}) {
		return "", "", &BadAddress{addr, "want the name of a machine, or a numeric address"}
	}
	return host, port, nil
}

// Server listens; it answers from Serve on.
type Server struct {
	http   http.Server
	listen net.Listener
	host   string // as it was named
	port   string
	token  string // empty: none is asked for
	open   atomic.Int64
	done   chan struct{} // closed when it no longer accepts; nil before Serve
}

// Listen takes an address as [Check] describes them. Where others can reach it a token is made up. The error is a
// *BadAddress or an *Unusable.
func Listen(addr string) (*Server, error) {
	host, port, err := split(addr)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip != nil {
		host = ip.String() // as browsers write it in Host
	}
	s := &Server{host: host, port: port}
	if port != "" {
		if s.listen, err = net.Listen("tcp", net.JoinHostPort(host, port)); err != nil {
			return nil, &Unusable{addr, reason(err)}
		}
	} else {
		for n := FirstPort; n <= LastPort && s.listen == nil; n++ {
			s.port = strconv.Itoa(n)
			s.listen, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", s.port))
		}
		if s.listen == nil {
			return nil, &Unusable{fmt.Sprintf("localhost:%d to %d", FirstPort, LastPort), reason(err)}
		}
	}
	if at, is := s.listen.Addr().(*net.TCPAddr); !is || !at.IP.IsLoopback() {
		s.token = rand.Text()
	}
	return s, nil
}

// reason is what the system said, without the address, which the error has.
func reason(err error) error {
	var e *net.OpError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// URL is what to open in a browser, with the token where there is one.
func (s *Server) URL() string {
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(s.host, s.port), Path: "/"}
	if ip := net.ParseIP(s.host); s.host == "" || ip != nil && ip.IsUnspecified() {
		u.Host = "localhost:" + s.port
	}
	if s.token != "" {
		u.RawQuery = "token=" + s.token
	}
	return u.String()
}

// Everywhere tells whether it listens on all addresses of this machine.
func (s *Server) Everywhere() bool {
	at, is := s.listen.Addr().(*net.TCPAddr)
	return is && at.IP.IsUnspecified()
}

// Serve begins to answer with h what the guard lets pass, in goroutines of its own.
func (s *Server) Serve(h http.Handler) {
	s.http = http.Server{
		Handler: s.guard(h), ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerBytes, ErrorLog: log.New(io.Discard, "", 0),
		DisableGeneralOptionsHandler: true, // it would answer OPTIONS * to whatever Host, before the guard
	}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		_ = s.http.Serve(&limited{s.listen, &s.open}) // ends with the listener
	}()
}

// Close ends: answers under way have so much time yet, then their connections are cut.
func (s *Server) Close(within time.Duration) {
	if s.done == nil {
		_ = s.listen.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.done
}

// limited accepts so many connections at once, and closes others on the spot.
type limited struct {
	net.Listener
	open *atomic.Int64
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= connections {
			if tcp, is := c.(*net.TCPConn); is {
				_ = tcp.SetWriteBuffer(sendBytes) // else as the system has it
			}
			return &counted{Conn: c, open: l.open}, nil
		}
		l.open.Add(-1)
		_ = c.Close()
	}
}

type counted struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// guard refuses whom it should, and gives the others' answers a deadline. A handler that streams moves that on.
func (s *Server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		for _, kv := range [][2]string{
			{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
			{"X-Content-Type-Options", "nosniff"},
			{"X-Frame-Options", "DENY"},
			{"Referrer-Policy", "no-referrer"},
			{"Cross-Origin-Resource-Policy", "same-origin"},
			{"Cross-Origin-Opener-Policy", "same-origin"},
			{"Cache-Control", "no-store"},
		} {
			head.Set(kv[0], kv[1])
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
		switch {
		case !s.knows(r):
			http.Error(w, "this is not a name of this server: open it by the address that it printed, port included",
				http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			head.Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		case r.ContentLength != 0:
			head.Set("Connection", "close")
			http.Error(w, "a request with a body", http.StatusBadRequest)
		case foreign(r):
			http.Error(w, "asked for by another page", http.StatusForbidden)
		case !s.admits(w, r):
			http.Error(w, "this needs the token that the program printed: open the whole address",
				http.StatusUnauthorized)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// knows tells whether a request is for a name of this machine. One for the address that it came in on is: a page
// elsewhere cannot have that as its own name.
func (s *Server) knows(r *http.Request) bool {
	names := []string{"localhost", "127.0.0.1", "::1", s.host}
	if at, is := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); is && s.Everywhere() {
		names = append(names, at.IP.String())
	}
	return slices.ContainsFunc(names, func(name string) bool {
		return name != "" && (strings.EqualFold(r.Host, net.JoinHostPort(name, s.port)) ||
			s.port == "80" && strings.EqualFold(r.Host, strings.TrimSuffix(net.JoinHostPort(name, ""), ":")))
	})
}

// foreign tells whether a browser says that another page asks, which may only lead here. Other programs say nothing.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

// admits tells whether a request has the token, in its address or in the cookie that is then set: so the first address
// has it, and what the page asks for itself need not. The port is in the cookie's name, because browsers send cookies
// to all ports of a host.
func (s *Server) admits(w http.ResponseWriter, r *http.Request) bool {
	if s.token == "" {
		return true
	}
	name := "alexnet_" + s.port
	same := func(given string) bool { return subtle.ConstantTimeCompare([]byte(given), []byte(s.token)) == 1 }
	if same(r.URL.Query().Get("token")) {
		http.SetCookie(w, &http.Cookie{
			Name: name, Value: s.token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		})
		return true
	}
	return slices.ContainsFunc(r.CookiesNamed(name), func(c *http.Cookie) bool { return same(c.Value) })
}
