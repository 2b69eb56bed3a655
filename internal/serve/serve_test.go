package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started serves a word at an address.
func started(t *testing.T, addr string) *Server {
	t.Helper()
	s, err := Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") }))
	t.Cleanup(func() { s.Close(time.Second) })
	return s
}

// answer is that of a guard to a request with these headers.
func answer(s *Server, method, target, host string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "inside")
	})).ServeHTTP(w, r)
	return w
}

// TestGuard: a name that is not this machine's gets 403 before anything else, an empty one too; only reading is
// allowed, other pages may only lead here, and every answer has the headers.
func TestGuard(t *testing.T) {
	s := started(t, "")
	port := s.port
	for _, c := range []struct {
		method, host string
		header       []string
		want         int
	}{
		{"GET", "localhost:" + port, nil, 200},
		{"GET", "LOCALHOST:" + port, nil, 200},
		{"GET", "127.0.0.1:" + port, nil, 200},
		{"GET", "[::1]:" + port, nil, 200},
		{"HEAD", "localhost:" + port, nil, 200},
		{"GET", "", nil, 403},
		{"GET", "localhost", nil, 403},
		{"GET", "localhost:1", nil, 403},
		{"GET", "localhost:" + port + ".evil.example", nil, 403},
		{"GET", "localhost.evil.example:" + port, nil, 403},
		{"GET", "evil.example:" + port, nil, 403},
		{"GET", "evil.example", nil, 403},
		{"GET", ":" + port, nil, 403},
		{"GET", "0.0.0.0:" + port, nil, 403},
		{"POST", "evil.example", nil, 403},
		{"POST", "localhost:" + port, nil, 405},
		{"DELETE", "localhost:" + port, nil, 405},
		{"OPTIONS", "localhost:" + port, nil, 405},
		{"GET", "localhost:" + port, []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"GET", "localhost:" + port, []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, 200},
		{"GET", "localhost:" + port, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"GET", "localhost:" + port, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, 403},
		{"GET", "localhost:" + port, []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403},
	} {
		r := answer(s, c.method, "/", c.host, c.header...)
		if r.Code != c.want {
			t.Errorf("%s for %q %q: %d, want %d", c.method, c.host, c.header, r.Code, c.want)
		}
		for _, name := range []string{
			"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cache-Control",
			"Cross-Origin-Resource-Policy",
		} {
			if r.Header().Get(name) == "" {
				t.Errorf("%s for %q: no %s", c.method, c.host, name)
			}
		}
		if r.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Error("other pages may read it")
		}
	}
	if s.token != "" || strings.Contains(s.URL(), "token") {
		t.Error("loopback asks for a token")
	}
}

// TestRaw: what net/http would answer by itself gets to the guard, and a request without a name is refused.
func TestRaw(t *testing.T) {
	s := started(t, "")
	for request, want := range map[string]string{
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n":                            "HTTP/1.1 403",
		"OPTIONS * HTTP/1.1\r\nHost: localhost:" + s.port + "\r\n":                "HTTP/1.1 405",
		"GET http://evil.example/ HTTP/1.1\r\nHost: localhost:" + s.port + "\r\n": "HTTP/1.1 403",
		"GET / HTTP/1.0\r\n": "HTTP/1.0 403",
		"GET / HTTP/1.1\r\n": "HTTP/1.1 400",
		"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: localhost:" + s.port + "\r\n": "HTTP/1.1 400",
	} {
		c, err := net.Dial("tcp", s.listen.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, request+"\r\n")
		b := make([]byte, len(want))
		_, _ = io.ReadFull(c, b)
		if string(b) != want {
			t.Errorf("%q: %q, want %q", request, b, want)
		}
		c.Close()
	}
}

// TestNumeric: a browser writes a numeric address in its shortest form, however it was named.
func TestNumeric(t *testing.T) {
	s, err := Listen("[0:0:0:0:0:0:0:1]:" + freePort(t))
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skip("this machine has no IPv6")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(0)
	if s.host != "::1" || s.URL() != "http://[::1]:"+s.port+"/" {
		t.Errorf("it is %s at %s", s.host, s.URL())
	}
}

// TestBody: a request with a body is refused, and its connection closed.
func TestBody(t *testing.T) {
	s := started(t, "")
	r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader("body"))
	r.Host = "localhost:" + s.port
	w := httptest.NewRecorder()
	s.guard(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || w.Header().Get("Connection") != "close" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
}

// TestToken: where others can reach it, nothing is given without the token; with it a cookie comes, which is as good.
func TestToken(t *testing.T) {
	s := started(t, ":"+freePort(t))
	host := "localhost:" + s.port
	if len(s.token) < 20 || !strings.HasSuffix(s.URL(), "/?token="+s.token) || !s.Everywhere() {
		t.Fatalf("the token is %q, the address %s", s.token, s.URL())
	}
	for _, target := range []string{"/", "/?token=", "/?token=" + s.token[1:], "/?token=" + s.token + "A", "/events"} {
		r := answer(s, "GET", target, host, "Cookie", "alexnet_"+s.port+"=wrong")
		if r.Code != http.StatusUnauthorized || r.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d, %v", target, r.Code, r.Header())
		}
	}
	if r := answer(s, "GET", "/?token="+s.token, "evil.example:"+s.port); r.Code != http.StatusForbidden {
		t.Errorf("under another name: %d", r.Code)
	}
	r := answer(s, "GET", "/?token="+s.token, host)
	c, err := http.ParseSetCookie(r.Header().Get("Set-Cookie"))
	if r.Code != http.StatusOK || err != nil {
		t.Fatalf("with the token: %d, %v", r.Code, err)
	}
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
		t.Errorf("the cookie is %v", c)
	}
	if r := answer(s, "GET", "/events", host, "Cookie", c.Name+"="+c.Value); r.Code != http.StatusOK {
		t.Errorf("with the cookie: %d", r.Code)
	}
	// the address that a request came in on is a name of this machine
	in, err := http.Get("http://" + net.JoinHostPort("127.0.0.1", s.port) + "/?token=" + s.token)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Body.Close()
	if in.StatusCode != http.StatusOK {
		t.Errorf("by number: %d", in.StatusCode)
	}
	ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7)})
	there := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
	for host, want := range map[string]bool{"192.0.2.7:" + s.port: true, "192.0.2.8:" + s.port: false} {
		if there.Host = host; s.knows(there) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// freePort is one that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// TestListen: without a name the next free port is taken; one that was named and is taken is an error, and so is what
// cannot be meant.
func TestListen(t *testing.T) {
	first, second := started(t, ""), started(t, "")
	if first.port == second.port || !strings.HasPrefix(second.URL(), "http://localhost:") {
		t.Errorf("%s and %s", first.URL(), second.URL())
	}
	for _, addr := range []string{first.port, "localhost:" + first.port, "127.0.0.1:" + first.port} {
		_, err := Listen(addr)
		var taken *Unusable
		if !errors.As(err, &taken) || !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s, which is taken: %v", addr, err)
		}
	}
	var unusable *Unusable
	if _, err := Listen("192.0.2.1:6160"); !errors.As(err, &unusable) { // of nobody, RFC 5737
		t.Errorf("an address that is not of this machine: %v", err)
	}
	for _, addr := range []string{
		"0", "65536", "-1", "a", "a:b", "a:", "::1", "[::1]", "localhost:0", "http://localhost:80", "a b:1", "x\x1b:1",
		"007", "a:+1",
	} {
		var bad *BadAddress
		if _, err := Listen(addr); !errors.As(err, &bad) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", addr, err)
		}
	}
	for _, addr := range []string{"", "80", ":80", "localhost:80", "[::1]:80", "0.0.0.0:6160", "my-box.example:6160"} {
		if err := Check(addr); err != nil {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

// TestConnections: more connections than the bound are closed at once, and one that ends makes room.
func TestConnections(t *testing.T) {
	s := started(t, "")
	open := func() net.Conn {
		c, err := net.Dial("tcp", s.listen.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ask := func(c net.Conn) string {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost:"+s.port+"\r\n\r\n")
		b := make([]byte, 12)
		n, _ := io.ReadFull(c, b)
		return string(b[:n])
	}
	var all []net.Conn
	for range connections {
		all = append(all, open())
		if got := ask(all[len(all)-1]); got != "HTTP/1.1 200" {
			t.Fatalf("connection %d: %q", len(all), got)
		}
	}
	if got := ask(open()); got != "" {
		t.Errorf("one more: %q", got)
	}
	all[0].Close()
	for ask(open()) != "HTTP/1.1 200" { // until the server has noticed
		time.Sleep(time.Millisecond)
	}
}

// TestUnread: of an answer that nobody reads little is taken, so that it is soon noticed, and costs little memory.
func TestUnread(t *testing.T) {
	s, err := Listen("")
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan int, 1)
	s.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n, some := 0, make([]byte, 16<<10)
		for n < 64<<20 {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err := w.Write(some); err != nil {
				break
			}
			n += len(some)
		}
		taken <- n
	}))
	defer s.Close(0)
	c, err := net.Dial("tcp", s.listen.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost:"+s.port+"\r\n\r\n")
	if n := <-taken; n > 1<<20 {
		t.Errorf("%d bytes are taken", n)
	}
}

// TestHead: a head that is too large is refused.
func TestHead(t *testing.T) {
	s := started(t, "")
	r, err := http.NewRequest(http.MethodGet, s.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("x", 4*headerBytes))
	in, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Body.Close()
	if in.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d", in.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
}
