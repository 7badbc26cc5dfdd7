// The server of go-stomp with its defaults: the argument is the address.
//
// A SEND without destination makes it panic. What a service manager does then is done here, without the time in which
// the port is closed: all connections end, and a new server without messages goes on. Other panics, in the goroutine of
// a connection, end the process.
package main

import (
	"log"
	"net"
	"os"
	"sync"

	"github.com/go-stomp/stomp/v3/server"
)

// A generation is the listener of one server: it has the connections that came while that server lived.
type generation struct {
	net.Listener
	incoming chan net.Conn
	ended    chan struct{}
	mutex    sync.Mutex
	accepted []net.Conn
}

func (g *generation) Accept() (net.Conn, error) {
	select {
	case <-g.ended:
		return nil, net.ErrClosed
	case connection := <-g.incoming:
		g.mutex.Lock()
		defer g.mutex.Unlock()
		g.accepted = append(g.accepted, connection)
		return connection, nil
	}
}

func (g *generation) serve() {
	defer func() {
		log.Print("panic: ", recover())
		close(g.ended)
		g.mutex.Lock()
		defer g.mutex.Unlock()
		for _, connection := range g.accepted {
			connection.Close()
		}
	}()
	log.Print(server.Serve(g))
}

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	incoming := make(chan net.Conn)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				log.Fatal(err)
			}
			incoming <- connection
		}
	}()
	for {
		(&generation{Listener: listener, incoming: incoming, ended: make(chan struct{})}).serve()
	}
}
