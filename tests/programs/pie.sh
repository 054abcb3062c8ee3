# needs: gcc libc6-dev
# Programs in every shape that the loader knows: static and position-independent, without an interpreter too.
cat > shape.c <<'END'
#include <elf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>
extern char **environ;
static __thread int own = 42;
static int data = 7, zero[5000], *relocated = &data;
static void *thread(void *arg) { own += 1; return (void *)(long)(own + *(int *)arg); }
int main(int argc, char **argv)
{
    const Elf64_Ehdr *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    Elf64_Phdr *ph = (void *)getauxval(AT_PHDR);
    int interp = 0, relro = 0, tls = 0;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
        interp += ph[i].p_type == PT_INTERP, relro += ph[i].p_type == PT_GNU_RELRO, tls += ph[i].p_type == PT_TLS;
    unsigned long here = (unsigned long)main;
    printf("%s: at %s, interpreter %d base %d relro %d tls %d vdso %d entry %d\n", argv[1], here < 0x1000000 ? "its own place" : "a place of the kernel's",
           interp, getauxval(AT_BASE) != 0, relro, tls, vdso && !memcmp(vdso->e_ident, ELFMAG, 4), getauxval(AT_ENTRY) / 0x100000 == here / 0x100000);
    pthread_t t[4];
    long sum = 0;
    void *r;
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, thread, relocated);
    for (int i = 0; i < 4; i++) pthread_join(t[i], &r), sum += (long)r;
    char *heap = malloc(1 << 20), *small = malloc(10), *end = sbrk(0);
    memset(heap, 1, 1 << 20);
    printf("%ld %d %d, heap %s, environment %d\n", sum, own, zero[4999], small < end && end - small < (1 << 22) ? "by brk" : "elsewhere", environ[0] != NULL);
    printf("brk %s\n", (unsigned long)end - here < (1UL << 32) ? "behind the program" : "apart");
    if (argc > 2) printf("%lx\n", here);
    fflush(stdout);
    free(heap);
    return argc == 2 ? execl("/proc/self/exe", "again", argv[1], "again", NULL) : 5;
}
END
build() { name=$1; shift; gcc -O1 -pthread "$@" shape.c -o "$name" 2>&1 | head -3; }
build static-pie -static-pie -fPIE; build static -static -no-pie -fno-pie; build pie -pie -fPIE; build fixed -no-pie -fno-pie
build static-pie-norelro -static-pie -fPIE -Wl,-z,norelro; build aligned -static-pie -fPIE -Wl,-z,max-page-size=0x200000; build packed -pie -fPIE -Wl,-z,separate-code,-z,now
for shape in static-pie static pie fixed static-pie-norelro aligned packed; do
    ./$shape $shape | sed "s/^[0-9a-f]\{6,\}$/address/"; ./$shape $shape > /dev/null || echo "status $?"
    a=$(./$shape $shape | tail -1); b=$(./$shape $shape | tail -1); test "$a" = "$b" && echo same || echo differs
    a=$(setarch -R ./$shape $shape | tail -1); b=$(setarch -R ./$shape $shape | tail -1); test "$a" = "$b" && echo same || echo differs
done
readelf -h static-pie | grep Type; head -c 2000 static-pie > cut; chmod +x cut; ./cut x 2>/dev/null || echo "cut: $?"
