// An adapter in Go, with a queue of its own in memory, as docs/adapters.md describes one. With the argument "skips" it
// forgets a record that is given back.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

type record struct {
	ID        string  `json:"id"`
	Topic     string  `json:"topic"`
	Text      string  `json:"text"`
	Key       *string `json:"key"`
	Partition int     `json:"partition"`
	Offset    int     `json:"offset"`
}

type request struct {
	ID         int      `json:"id"`
	Op         string   `json:"op"`
	Topic      string   `json:"topic"`
	Partitions int      `json:"partitions"`
	Text       string   `json:"text"`
	Key        *string  `json:"key"`
	Consumer   string   `json:"consumer"`
	Group      string   `json:"group"`
	Topics     []string `json:"topics"`
	Wait       float64  `json:"wait"`
	Record     record   `json:"record"`
}

type answer map[string]any

// place of a group in a partition: the next offset, and the consumer that holds the record there.
type place struct {
	next   int
	holder string
	turn   int
}

var (
	lock    sync.Mutex
	logs    = map[string][][]record{}        // topic → partitions
	groups  = map[string]map[string]*place{} // group → topic/partition → place
	members = map[string]request{}           // consumer → its join
	sent    = 0
	skips   = len(os.Args) > 1 && os.Args[1] == "skips"
)

func hello() answer {
	abilities := []string{"create-topic", "publish", "join", "poll", "acknowledge", "give-back", "leave", "cut"}
	promises := []string{"order-within-partition", "order-by-key", "one-in-flight", "at-least-once", "no-phantom",
		"redelivered-before-its-successors", "no-redelivery-after-acknowledgement", "start-at-the-oldest", "true-marks"}
	// A connection that was cut is gone at once; a member is never put out.
	timings := map[string]float64{"rebalance_hold": 0, "rebalance_limit": 0, "slack": 2}
	facts := answer{"timings": timings, "tells": []string{"positions"}, "promises": promises}
	return answer{"name": "a queue in Go", "version": "1", "abilities": abilities, "facts": facts}
}

func publish(r request) answer {
	log := logs[r.Topic]
	number := sent
	sent++
	if r.Key != nil {
		number = 0
		for _, one := range *r.Key {
			number = (number*31 + int(one)) % 1_000_003
		}
	}
	p := number % len(log)
	log[p] = append(log[p], record{"", r.Topic, r.Text, r.Key, p, len(log[p])})
	return answer{"partition": p, "offset": len(log[p]) - 1}
}

func take(r request) answer {
	member, known := members[r.Consumer]
	if !known {
		return answer{"outcome": "refused", "reason": "not a member"}
	}
	for _, topic := range member.Topics {
		for p, log := range logs[topic] {
			name := fmt.Sprintf("%s/%d", topic, p)
			at := groups[member.Group][name]
			if at == nil {
				at = &place{}
				groups[member.Group][name] = at
			}
			if at.holder == "" && at.next < len(log) {
				at.holder, at.turn = r.Consumer, at.turn+1
				found := log[at.next]
				found.ID = fmt.Sprintf("%s/%s/%d/%d", r.Consumer, name, at.next, at.turn)
				return answer{"records": []record{found}}
			}
		}
	}
	return nil
}

func settle(r request, step int) answer {
	member, known := members[r.Consumer]
	if known {
		name := fmt.Sprintf("%s/%d", r.Record.Topic, r.Record.Partition)
		at := groups[member.Group][name]
		id := fmt.Sprintf("%s/%s/%d/%d", r.Consumer, name, at.next, at.turn)
		if at.holder == r.Consumer && id == r.Record.ID {
			at.holder, at.next = "", at.next+step
			return answer{}
		}
	}
	return answer{"outcome": "refused", "reason": "not in flight with this consumer"}
}

func leave(r request) answer {
	for _, at := range groups[members[r.Consumer].Group] {
		if at.holder == r.Consumer {
			at.holder = ""
		}
	}
	delete(members, r.Consumer)
	return answer{}
}

func answered(r request) answer {
	lock.Lock()
	defer lock.Unlock()
	switch r.Op {
	case "hello":
		return hello()
	case "create-topic":
		logs[r.Topic] = make([][]record, r.Partitions)
		return answer{}
	case "publish":
		return publish(r)
	case "join":
		if groups[r.Group] == nil {
			groups[r.Group] = map[string]*place{}
		}
		members[r.Consumer] = r
		return answer{}
	case "poll":
		return take(r)
	case "acknowledge":
		return settle(r, 1)
	case "give-back":
		if skips {
			return settle(r, 1)
		}
		return settle(r, 0)
	case "leave", "cut":
		return leave(r)
	}
	return answer{"outcome": "unsupported"}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	var writing sync.Mutex
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() {
			end := time.Now().Add(time.Duration(r.Wait * float64(time.Second)))
			a := answered(r)
			for ; a == nil && time.Now().Before(end); a = answered(r) {
				time.Sleep(10 * time.Millisecond)
			}
			if a == nil {
				a = answer{"records": []record{}}
			}
			if a["outcome"] == nil {
				a["outcome"] = "ok"
			}
			a["id"] = r.ID
			line, _ := json.Marshal(a)
			writing.Lock()
			fmt.Println(string(line))
			writing.Unlock()
		}()
	}
}
