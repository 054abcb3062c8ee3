/* Small pieces of memory that calls read and write, at every kind of place: stack, data, heap, files, page ends, memory
 * that may not be read or written, memory that somebody else looks at meanwhile. */
#include "../t.h"
#include <sys/utsname.h>

static char data[256] = "data";
static char bss[9000];

static long sum(const char *p, long n)
{
	long s = 0;
	while (n--)
		s = s * 31 + (unsigned char)*p++;
	return s;
}

/* Bytes that a pipe gives into `to`, in pieces of every size. */
static void pieces(const char *where, char *to)
{
	char from[200];
	int p[2];
	long bad = 0;
	pipe(p);
	for (int i = 0; i < 200; i++)
		from[i] = i * 7 + 1;
	for (int n = 1; n <= 150; n++) {
		memset(to, 0, 200);
		if (write(p[1], from + n % 8, n) != n || read(p[0], to + n % 16, n) != n ||
		    memcmp(to + n % 16, from + n % 8, n) || to[n % 16 + n] || (n % 16 && to[n % 16 - 1]))
			bad++;
	}
	say("%s: %ld bad", where, bad);
	close(p[0]);
	close(p[1]);
}

static void *thread_pieces(void *arg)
{
	char buf[256];
	int p[2];
	long bad = 0;
	pipe(p);
	for (long i = 0; i < 500; i++) {
		long got = 0;
		write(p[1], &i, sizeof i);
		if (read(p[0], buf + i % 8, sizeof i) != sizeof i || memcpy(&got, buf + i % 8, sizeof got) == 0 || got != i)
			bad++;
	}
	close(p[0]);
	close(p[1]);
	return (void *)bad;
}

static volatile sig_atomic_t hits;
static void on(int s) { hits++; }

int main(void)
{
	char stack[256], path[300];
	struct stat st;
	struct utsname uts;
	char *m = mmap(0, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int p[2];

	pieces("stack", stack);
	pieces("data", data);
	pieces("bss", bss);
	pieces("across pages", m + 4096 - 100);
	pieces("shared", shared);
	pieces("heap", malloc(300));

	/* A page that is gone, and pages that may not be read or written, behind one that is all right. */
	munmap(m + 2 * 4096, 4096);
	mprotect(m + 4 * 4096, 4096, PROT_READ);
	pipe(p);
	V(write(p[1], "0123456789abcdef", 16));
	V(read(p[0], m + 2 * 4096 - 8, 8));
	V(read(p[0], m + 2 * 4096 - 4, 8));
	V(read(p[0], m + 4 * 4096 - 4, 8));
	V(read(p[0], m + 4 * 4096, 8));
	V(read(p[0], m + 2 * 4096, 8));
	say("%.8s", m + 2 * 4096 - 8);
	close(p[0]);
	close(p[1]);
	pipe(p);
	V(write(p[1], m + 2 * 4096 - 8, 8));
	V(write(p[1], m + 2 * 4096 - 8, 16));
	V(write(p[1], m + 2 * 4096, 1));
	V(write(p[1], (void *)-8L, 8));
	V(write(p[1], (void *)0x7fff00100000, 8));
	V(fstat(p[0], (void *)(m + 2 * 4096 - 20)));
	V(fstat(p[0], (void *)(m + 4 * 4096)));
	V(uname((void *)(m + 4 * 4096 + 8)));
	V(uname((void *)8));

	/* Names: at a page's end, across pages, long, without an end. */
	strcpy(m + 2 * 4096 - 5, "/tmp");
	V(stat(m + 2 * 4096 - 5, &st));
	memcpy(m + 2 * 4096 - 4, "/tmp", 4);
	V(stat(m + 2 * 4096 - 4, &st));
	strcpy(m + 4096 - 3, "/etc/passwd");
	V(access(m + 4096 - 3, R_OK));
	memset(path, '/', sizeof path);
	strcpy(path + 250, "tmp");
	V(stat(path, &st));
	V(S_ISDIR(st.st_mode));
	memset(path, 'x', sizeof path);
	path[299] = 0;
	V(stat(path, &st));
	V(access(m + 2 * 4096, F_OK));
	V(access((void *)0, F_OK));
	V(open((char *)0x7fff00000000, O_RDONLY));

	/* Read and written by one call. */
	struct pollfd f[3] = { { p[0], POLLIN, 77 }, { p[1], POLLOUT, 77 }, { 9999, POLLIN, 77 } };
	V(poll(f, 3, 0));
	say("%d %d %d", f[0].revents & POLLIN, f[1].revents & POLLOUT, f[2].revents & POLLNVAL);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	V(sigprocmask(SIG_BLOCK, &set, &set));
	V(sigismember(&set, SIGUSR1));
	V(sigprocmask(SIG_SETMASK, &set, &set));
	V(sigismember(&set, SIGUSR1));

	/* Vectors: many small pieces, some of them overlapping. */
	struct iovec v[40];
	char many[400];
	for (int i = 0; i < 40; i++)
		v[i] = (struct iovec){ many + 9 * i, 10 };
	memset(many, 0, sizeof many);
	char fill[400];
	for (int i = 0; i < 400; i++)
		fill[i] = i % 251;
	V(write(p[1], fill, 400) >= 0);
	while (poll(f, 1, 0) == 1 && read(p[0], path, 1) == 1 && path[0] != fill[0])
		;
	V(readv(p[0], v, 40));
	say("%ld", sum(many, 361));

	/* A result on its way when the process forks, gets a signal, or execs. */
	signal(SIGUSR1, on);
	for (int i = 0; i < 20; i++) {
		raise(SIGUSR1);
		uname(&uts);
		pid_t c = fork();
		if (c == 0)
			_exit(strcmp(uts.sysname, "Linux") == 0 ? 3 : 4);
		int status;
		waitpid(c, &status, 0);
		if (status != 3 << 8)
			say("child %x", status);
	}
	V(hits);

	/* A child that waits in a call, while its memory is read and written by another process. */
	int q[2], r[2];
	pipe(q);
	pipe(r);
	char *note = bss + 100;
	pid_t c = fork();
	if (c == 0) {
		char got[16] = "none";
		strcpy(note, "child");
		write(r[1], "x", 1);
		read(q[0], got, 8);
		say("child has %s and %s", got, note);
		read(q[0], note, 5);
		write(r[1], "y", 1);
		read(q[0], got, 1);
		_exit(0);
	}
	char seen[16] = "";
	read(r[0], seen, 1);
	struct iovec here = { seen, 6 }, there = { note, 6 };
	V(process_vm_readv(c, &here, 1, &there, 1, 0));
	say("%s", seen);
	here.iov_base = "adult";
	V(process_vm_writev(c, &here, 1, &there, 1, 0));
	write(q[1], "message", 8);
	write(q[1], "later", 5);
	read(r[0], seen, 1);
	here.iov_base = seen;
	V(process_vm_readv(c, &here, 1, &there, 1, 0));
	say("%s", seen);
	write(q[1], "z", 1);
	waitpid(c, 0, 0);

	/* Pages of a file that becomes shorter; a private one that was written. */
	char name[] = "/tmp/smallXXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	ftruncate(fd, 8192);
	char *priv = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *file = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pieces("private file", priv);
	pieces("untouched private file", priv + 4000);
	pieces("shared file", file);
	priv = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V(priv[4096]);
	ftruncate(fd, 4096);
	write(p[1], "12345678", 8);
	V(read(p[0], priv + 4096, 8));
	V(read(p[0], priv + 4092, 8) > 0);

	/* Several threads. */
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], 0, thread_pieces, 0);
	for (int i = 0; i < 4; i++) {
		void *bad;
		pthread_join(t[i], &bad);
		say("thread: %ld bad", (long)bad);
	}
	pieces("after threads", stack);
	return 0;
}
