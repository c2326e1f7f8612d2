// kubelet answers what the API server asks a kubelet for: port-forward and exec, by the kubelet's own code.
//
// Pods are network namespaces. The file POD-DIRECTORY/NAMESPACE/NAME holds the number of a process in that of one.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

const (
	idle     = 4 * time.Hour
	creation = 30 * time.Second
	grace    = 100 * time.Millisecond
)

// pods is the directory that says which process stands in which pod.
type pods string

func (p pods) process(pod string) (string, error) {
	number, err := os.ReadFile(filepath.Join(string(p), filepath.FromSlash(pod)))
	if err != nil {
		return "", fmt.Errorf("pod %s does not run here", pod)
	}
	return strings.TrimSpace(string(number)), nil
}

// PortForward copies between a stream and a port on the loopback address of a pod, as a container runtime does.
func (p pods) PortForward(_ context.Context, pod, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	process, err := p.process(pod)
	if err != nil {
		return err
	}
	connection, err := dialIn(process, port)
	if err != nil {
		return fmt.Errorf("failed to connect to localhost:%d inside pod %s: %w", port, pod, err)
	}
	defer connection.Close()
	ended := make(chan struct{}, 2)
	go func() {
		_, _ = io.Copy(connection, stream)
		_ = connection.(*net.TCPConn).CloseWrite()
		ended <- struct{}{}
	}()
	go func() {
		_, _ = io.Copy(stream, connection)
		ended <- struct{}{}
	}()
	<-ended
	select {
	case <-ended:
	case <-time.After(grace):
	}
	return nil
}

// ExecInContainer runs a command in the network namespace of a pod.
func (p pods) ExecInContainer(
	ctx context.Context, pod, _, _ string, command []string, in io.Reader, out, err io.WriteCloser, _ bool,
	_ <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	process, missing := p.process(pod)
	if missing != nil {
		return missing
	}
	run := exec.CommandContext(ctx, "nsenter", append([]string{"--net", "--target", process, "--"}, command...)...)
	run.Stdin = in
	if out != nil {
		run.Stdout = out
	}
	if err != nil {
		run.Stderr = err
	}
	ended := run.Run()
	var exit *exec.ExitError
	if errors.As(ended, &exit) {
		return utilexec.CodeExitError{Err: ended, Code: exit.ExitCode()}
	}
	return ended
}

// dialIn connects to a port on the loopback address of another network namespace.
func dialIn(process string, port int32) (connection net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread ends with this goroutine, and no other gets its network namespace.
		runtime.LockOSThread()
		var namespace int
		namespace, err = unix.Open(filepath.Join("/proc", process, "ns/net"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		defer unix.Close(namespace)
		if err = unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
			return
		}
		connection, err = net.DialTimeout("tcp4", fmt.Sprintf("127.0.0.1:%d", port), creation)
	}()
	<-done
	return connection, err
}

func (p pods) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, p, name(r), "", options, idle, creation, portforward.SupportedProtocols)
}

func (p pods) exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(
		w, r, p, name(r), "", r.PathValue("container"), r.URL.Query()["command"], options, idle, creation,
		remotecommand.SupportedStreamingProtocols,
	)
}

func name(r *http.Request) string {
	return r.PathValue("namespace") + "/" + r.PathValue("pod")
}

func main() {
	listen := flag.String("listen", ":10250", "where to listen")
	certificate := flag.String("cert", "", "file of the serving certificate")
	key := flag.String("key", "", "file of its key")
	authority := flag.String("client-ca", "", "file of the authority of the API server's certificate")
	directory := flag.String("pods", "", "directory that says which process stands in which pod")
	flag.Parse()
	pem, err := os.ReadFile(*authority)
	if err != nil {
		log.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	mux, served := http.NewServeMux(), pods(*directory)
	mux.HandleFunc("/portForward/{namespace}/{pod}", served.portForward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", served.portForward)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", served.exec)
	mux.HandleFunc("/exec/{namespace}/{pod}/{uid}/{container}", served.exec)
	server := &http.Server{
		Addr:      *listen,
		Handler:   mux,
		TLSConfig: &tls.Config{ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"http/1.1"}},
	}
	log.Fatal(server.ListenAndServeTLS(*certificate, *key))
}
