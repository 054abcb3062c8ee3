# needs: golang-go
# timeout: 180
export GOCACHE=$PWD/cache GOPATH=$PWD/go GOFLAGS=-mod=mod GO111MODULE=off GOTOOLCHAIN=local
cat > t.go <<'EOF'
package main

import ("context"; "fmt"; "net"; "os"; "os/exec"; "os/signal"; "runtime"; "sort"; "sync"; "syscall"; "time"; "sync/atomic"; "io")

func main() {
	var wg sync.WaitGroup; var n int64
	for i := 0; i < 1000; i++ { wg.Add(1); go func() { defer wg.Done(); for k := 0; k < 100; k++ { atomic.AddInt64(&n, 1); if k%10 == 0 { runtime.Gosched() } } }() }
	wg.Wait(); fmt.Println("goroutines", n)
	c := make(chan int); done := make(chan []int); go func() { var r []int; for v := range c { r = append(r, v) }; sort.Ints(r); done <- r }()
	for i := 0; i < 4; i++ { wg.Add(1); go func(i int) { defer wg.Done(); c <- i * i }(i) }; wg.Wait(); close(c); fmt.Println(<-done)
	// A tight loop is preempted by a signal.
	runtime.GOMAXPROCS(1); var stop int32; go func() { for atomic.LoadInt32(&stop) == 0 {} }(); time.Sleep(30 * time.Millisecond); atomic.StoreInt32(&stop, 1); fmt.Println("preempted"); runtime.GOMAXPROCS(4)
	select { case <-time.After(20 * time.Millisecond): fmt.Println("timer") }
	t := time.NewTicker(5 * time.Millisecond); for i := 0; i < 5; i++ { <-t.C }; t.Stop(); fmt.Println("ticks")
	o, err := exec.Command("sh", "-c", "echo out; exit 4").Output(); fmt.Printf("%q %v\n", o, err)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond); defer cancel(); fmt.Println(exec.CommandContext(ctx, "sleep", "9").Run())
	s := make(chan os.Signal, 1); signal.Notify(s, syscall.SIGUSR1); syscall.Kill(os.Getpid(), syscall.SIGUSR1); fmt.Println(<-s)
	l, err := net.Listen("unix", "gosock"); if err != nil { panic(err) }; go func() { for { k, e := l.Accept(); if e != nil { return }; go func() { io.Copy(k, k); k.Close() }() } }()
	for i := 0; i < 20; i++ { wg.Add(1); go func(i int) { defer wg.Done(); k, e := net.Dial("unix", "gosock"); if e != nil { panic(e) }; fmt.Fprintf(k, "msg%d", i); b := make([]byte, 10); m, _ := k.Read(b); if string(b[:m]) != fmt.Sprintf("msg%d", i) { panic("echo") }; k.Close() }(i) }; wg.Wait(); fmt.Println("sockets")
	func() { defer func() { fmt.Println("recovered", recover()) }(); var p *int; *p = 1 }()
	var big [][]byte; for i := 0; i < 200; i++ { big = append(big, make([]byte, 1<<20)); if i%50 == 0 { big = nil; runtime.GC() } }; fmt.Println("gc", len(big))
	os.WriteFile("f", []byte("data"), 0600); b, _ := os.ReadFile("f"); fmt.Println(string(b)); _, err = os.Open("none"); fmt.Println(err)
}
EOF
go build -o t t.go && ./t
