//! The program. Registers of the agent: r15 the secret, r14 the request page, r13 the last request's number, r12 the
//! operation, rbx its index. Guest threads in a handler: rbx the mailbox, rsp the signal frame.

use crate::layout::*;
use core::arch::global_asm;

global_asm!(
    ".pushsection .rodata.umlaut_stub, \"a\", @progbits",
    ".balign 16",
    "umlaut_stub_text:",
    // ---- at LOW_BASE, right after exec: nothing of the kernel process or of exec's own stays.
    "umlaut_stub_start:",
    "mov eax, 11",
    "xor edi, edi",
    "movabs rsi, {low}",
    "syscall",
    "test rax, rax",
    "jnz 90f",
    "mov eax, 11",
    "movabs rdi, {low_end}",
    "movabs rsi, {above_low}",
    "syscall",
    "test rax, rax",
    "jnz 90f",
    "mov eax, 9",
    "movabs rdi, {stub}",
    "mov esi, 4096",
    "mov edx, 5",
    "mov r10d, 0x12",
    "mov r8d, {fd_image}",
    "mov r9d, 4096",
    "syscall",
    "cmp rax, rdi",
    "jne 90f",
    "mov eax, 9",
    "movabs rdi, {request}",
    "mov esi, 4096",
    "mov edx, 1",
    "mov r10d, 0x11",
    "mov r8d, {fd_control}",
    "xor r9d, r9d",
    "syscall",
    "cmp rax, rdi",
    "jne 90f",
    "lea rax, [rip + 20f]",
    "movabs rcx, {moved_by}",
    "add rax, rcx",
    "jmp rax",
    // ---- at STUB_BASE
    "20:",
    "mov eax, 11",
    "movabs rdi, {low}",
    "mov esi, 4096",
    "syscall",
    "mov eax, 3",
    "mov edi, {fd_image}",
    "syscall",
    "movabs r14, {request}",
    "mov r15, [r14 + {req_secret}]",
    "xor r13d, r13d",
    // ---- the agent: wait for a request, do its operations, tell the result.
    "30:",
    "mov eax, [r14 + {req_seq}]",
    "cmp eax, r13d",
    "jne 31f",
    "mov rdi, r14",
    "xor esi, esi",
    "mov edx, r13d",
    "xor r10d, r10d",
    "mov eax, 202",
    "syscall",
    "jmp 30b",
    "31:",
    "mov r13d, eax",
    "xor ebx, ebx",
    "xor eax, eax",
    "lea r12, [r14 + {req_ops}]",
    "32:",
    "cmp ebx, [r14 + {req_count}]",
    "jae 39f",
    "mov rdi, [r12 + 8]",
    "mov rsi, [r12 + 16]",
    "mov rdx, [r12 + 24]",
    "mov r10, [r12 + 32]",
    "mov r8, [r12 + 40]",
    "mov ecx, [r12 + 4]",
    "mov eax, [r12]",
    "cmp ecx, {kind_mmap}",
    "je 34f",
    "mov r9, r15",
    "cmp ecx, {kind_process}",
    "je 40f",
    "cmp ecx, {kind_thread}",
    "je 36f",
    "33:",
    "syscall",
    "35:",
    "cmp rax, -4095",
    "jae 39f",
    "inc ebx",
    "add r12, {req_op_size}",
    "jmp 32b",
    "34:",
    "mov r9, r15",
    "shl r9, 32",
    "or r10, r9",
    "mov r9, r15",
    "shr r9, 32",
    "shl r9, 32",
    "or r8, r9",
    "mov r9, [r12 + 48]",
    "syscall",
    "mov r10d, r10d",
    "mov r8d, r8d",
    "jmp 35b",
    "36:",
    "syscall",
    "test rax, rax",
    "jnz 35b",
    "jmp 50f",
    // done: file position = index << 32 | result; then the event.
    "39:",
    "mov rsi, rbx",
    "shl rsi, 32",
    "mov eax, eax",
    "or rsi, rax",
    "mov edi, [r14 + {req_result_fd}]",
    "xor edx, edx",
    "mov r9, r15",
    "mov eax, 8",
    "syscall",
    "mov edi, [r14 + {req_event_fd}]",
    "lea rsi, [r14 + {req_event}]",
    "mov edx, 8",
    "mov r9, r15",
    "mov eax, 1",
    "syscall",
    "jmp 30b",
    // ---- clone of the address space; the child's agent takes its own request page first.
    "40:",
    "mov rbp, [r14 + {req_child}]",
    "syscall",
    "test rax, rax",
    "jnz 35b",
    "mov eax, 9",
    "mov rdi, r14",
    "mov esi, 4096",
    "mov edx, 1",
    "mov r10, r15",
    "shl r10, 32",
    "or r10, 0x11",
    "mov r8, r15",
    "shr r8, 32",
    "shl r8, 32",
    "or r8, {fd_control}",
    "mov r9, rbp",
    "syscall",
    "cmp rax, r14",
    "jne 90f",
    "mov eax, 157",
    "mov edi, 1",
    "mov esi, 9",
    "mov r9, r15",
    "syscall",
    "mov eax, 110",
    "mov r9, r15",
    "syscall",
    "cmp eax, [r14 + {req_kernel_pid}]",
    "jne 90f",
    "xor r13d, r13d",
    "jmp 30b",
    // ---- a new guest thread: forget the agent, then wait like any trapped thread.
    "50:",
    "xor r15d, r15d",
    "xor r9d, r9d",
    "xor r8d, r8d",
    "xor r10d, r10d",
    "mov rbx, rsp",
    "or rbx, {area_mask}",
    "sub rbx, {mb_size} - 1",
    "jmp 62f",
    // ---- signal handlers: rdi signal, rsi siginfo, rdx ucontext.
    ".balign 64",
    "umlaut_stub_handler:",
    "mov rbx, rsp",
    "or rbx, {area_mask}",
    "sub rbx, {mb_size} - 1",
    "mov [rbx + {mb_signo}], edi",
    "mov [rbx + {mb_info}], rsi",
    "mov [rbx + {mb_uc}], rdx",
    "rdfsbase rax",
    "mov [rbx + {mb_fs}], rax",
    "rdgsbase rax",
    "mov [rbx + {mb_gs}], rax",
    "61:",
    "mov eax, {st_kernel}",
    "xchg eax, [rbx + {mb_state}]",
    "cmp eax, {st_guest_w}",
    "jne 62f",
    "mov rdi, rbx",
    "mov esi, 1",
    "mov edx, esi",
    "mov eax, 202",
    "syscall",
    "62:",
    "mov eax, [rbx + {mb_state}]",
    "cmp eax, {st_guest_w}",
    "jbe 64f",
    "cmp eax, {st_kernel_w}",
    "je 63f",
    "mov ecx, {st_kernel_w}",
    "lock cmpxchg [rbx + {mb_state}], ecx",
    "jne 62b",
    "63:",
    "mov rdi, rbx",
    "xor esi, esi",
    "mov edx, {st_kernel_w}",
    "xor r10d, r10d",
    "mov eax, 202",
    "syscall",
    "jmp 62b",
    "64:",
    "mov r12d, [rbx + {mb_flags}]",
    "test r12d, r12d",
    "jnz 70f",
    "65:",
    "add rsp, 8",
    "mov eax, 15",
    "syscall",
    // ---- a reply with more than registers
    "70:",
    "mov dword ptr [rbx + {mb_flags}], 0",
    "test r12d, {f_exit}",
    "jz 71f",
    "xor edi, edi",
    "mov eax, 60",
    "syscall",
    "71:",
    "test r12d, {f_bases}",
    "jz 72f",
    "mov rax, [rbx + {mb_fs}]",
    "wrfsbase rax",
    "mov rax, [rbx + {mb_gs}]",
    "wrgsbase rax",
    "72:",
    "test r12d, {f_bases_sys}",
    "jz 73f",
    "mov edi, 0x1002",
    "mov rsi, [rbx + {mb_fs}]",
    "mov eax, 158",
    "syscall",
    "mov edi, 0x1001",
    "mov rsi, [rbx + {mb_gs}]",
    "mov eax, 158",
    "syscall",
    "73:",
    "test r12d, {f_ops}",
    "jz 65b",
    "lea r13, [rbx + {mb_size} - {area_size}]",
    "xor r14d, r14d",
    "74:",
    "cmp r14d, [rbx + {mb_op_count}]",
    "jae 65b",
    "mov eax, [r13]",
    "mov r10d, [r13 + 4]",
    "mov rdi, [r13 + 8]",
    "mov rsi, [r13 + 16]",
    "mov rdx, [r13 + 24]",
    "mov r8, -1",
    "xor r9d, r9d",
    "syscall",
    "cmp rax, -4095",
    "jae 75f",
    "inc r14d",
    "add r13, {mb_op_size}",
    "jmp 74b",
    "75:",
    "mov [rbx + {mb_op_index}], r14d",
    "neg eax",
    "mov [rbx + {mb_op_errno}], eax",
    "mov dword ptr [rbx + {mb_signo}], {op_failed}",
    "jmp 61b",
    // ---- the handler for hosts without FSGSBASE
    ".balign 16",
    "umlaut_stub_syscall_handler:",
    "mov rbx, rsp",
    "or rbx, {area_mask}",
    "sub rbx, {mb_size} - 1",
    "mov [rbx + {mb_signo}], edi",
    "mov [rbx + {mb_info}], rsi",
    "mov [rbx + {mb_uc}], rdx",
    "mov edi, 0x1003",
    "lea rsi, [rbx + {mb_fs}]",
    "mov eax, 158",
    "syscall",
    "mov edi, 0x1004",
    "lea rsi, [rbx + {mb_gs}]",
    "mov eax, 158",
    "syscall",
    "jmp 61b",
    "90:",
    "hlt",
    "umlaut_stub_end:",
    ".popsection",
    low = const LOW_BASE,
    low_end = const LOW_BASE + 4096,
    above_low = const USER_TOP - LOW_BASE - 4096,
    stub = const STUB_BASE,
    moved_by = const STUB_BASE - LOW_BASE,
    request = const REQUEST_ADDR,
    fd_image = const fd::IMAGE,
    fd_control = const fd::CONTROL,
    req_secret = const req::SECRET,
    req_seq = const req::SEQ,
    req_ops = const req::OPS,
    req_count = const req::COUNT,
    req_op_size = const req::OP_SIZE,
    req_result_fd = const req::RESULT_FD,
    req_event_fd = const req::EVENT_FD,
    req_event = const req::EVENT,
    req_child = const req::CHILD,
    req_kernel_pid = const req::KERNEL_PID,
    kind_mmap = const req::KIND_MMAP,
    kind_process = const req::KIND_PROCESS,
    kind_thread = const req::KIND_THREAD,
    area_mask = const AREA_SIZE - 1,
    area_size = const AREA_SIZE,
    mb_size = const MAILBOX_SIZE,
    mb_signo = const mb::SIGNO,
    mb_info = const mb::INFO,
    mb_uc = const mb::UC,
    mb_fs = const mb::FS_BASE,
    mb_gs = const mb::GS_BASE,
    mb_state = const mb::STATE,
    mb_flags = const mb::FLAGS,
    mb_op_count = const mb::OP_COUNT,
    mb_op_size = const mb::OP_SIZE,
    mb_op_index = const mb::OP_INDEX,
    mb_op_errno = const mb::OP_ERRNO,
    op_failed = const mb::OP_FAILED,
    f_exit = const mb::F_EXIT,
    f_bases = const mb::F_BASES,
    f_bases_sys = const mb::F_BASES_BY_SYSCALL,
    f_ops = const mb::F_OPS,
    st_kernel = const state::KERNEL,
    st_kernel_w = const state::KERNEL_WAITED,
    st_guest_w = const state::GUEST_WAITED,
);

unsafe extern "C" {
    static umlaut_stub_text: u8;
    static umlaut_stub_start: u8;
    static umlaut_stub_handler: u8;
    static umlaut_stub_syscall_handler: u8;
    static umlaut_stub_end: u8;
}

/// The program's code, position independent, at most a page.
pub fn text() -> &'static [u8] {
    let start = &raw const umlaut_stub_text;
    let len = &raw const umlaut_stub_end as usize - start as usize;
    assert!(len <= 4096);
    // SAFETY: both symbols lie in one section of this program, `umlaut_stub_end` behind `umlaut_stub_text`, and
    // nothing writes to it.
    unsafe { core::slice::from_raw_parts(start, len) }
}

fn at_stub(symbol: *const u8) -> u64 {
    STUB_BASE + (symbol as u64 - &raw const umlaut_stub_text as u64)
}

/// Where execution starts, at the low address.
pub fn entry() -> u64 {
    LOW_BASE + (&raw const umlaut_stub_start as u64 - &raw const umlaut_stub_text as u64)
}

/// Address of the signal handler in stub processes on hosts with FSGSBASE.
pub fn handler() -> u64 {
    at_stub(&raw const umlaut_stub_handler)
}

/// Address of the signal handler in stub processes on hosts without FSGSBASE.
pub fn syscall_handler() -> u64 {
    at_stub(&raw const umlaut_stub_syscall_handler)
}

/// The ELF executable, as bytes by page: header page, text page.
pub fn image() -> [[u8; 4096]; 2] {
    let mut pages = [[0u8; 4096]; 2];
    let mut put = |at: usize, bytes: &[u8]| pages[0][at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &2u16.to_le_bytes()); // ET_EXEC
    put(18, &62u16.to_le_bytes()); // EM_X86_64
    put(20, &1u32.to_le_bytes());
    put(24, &entry().to_le_bytes());
    put(32, &64u64.to_le_bytes()); // program headers
    put(52, &64u16.to_le_bytes());
    put(54, &56u16.to_le_bytes());
    put(56, &2u16.to_le_bytes());
    put(58, &64u16.to_le_bytes());
    // PT_LOAD, read and execute
    put(64, &1u32.to_le_bytes());
    put(68, &5u32.to_le_bytes());
    put(72, &4096u64.to_le_bytes());
    put(80, &LOW_BASE.to_le_bytes());
    put(88, &LOW_BASE.to_le_bytes());
    put(96, &4096u64.to_le_bytes());
    put(104, &4096u64.to_le_bytes());
    put(112, &4096u64.to_le_bytes());
    // PT_GNU_STACK, read and write
    put(120, &0x6474_e551u32.to_le_bytes());
    put(124, &6u32.to_le_bytes());
    pages[1][..text().len()].copy_from_slice(text());
    pages
}
