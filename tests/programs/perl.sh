# needs: perl
cat > t.pl <<'EOF'
use strict; use warnings; use POSIX qw(:sys_wait_h); use IO::Socket::UNIX; use IPC::Open3; use File::Temp; use Time::HiRes qw(sleep alarm); use Fcntl ':flock'; use Storable; $| = 1;
my %h = map { $_ => $_ ** 2 } 1 .. 5; print join(',', map { "$_=$h{$_}" } sort keys %h), "\n";
my $t = 'The year 1999 and 2024'; my @y = $t =~ /(\d{4})/g; print "@y\n"; (my $u = $t) =~ s/(\w+)/\u\L$1/g; print "$u\n";
my $pid = fork // die; if (!$pid) { exit 7 } waitpid $pid, 0; print $? >> 8, "\n";
print `echo backtick`; system 'exit 3'; print $? >> 8, "\n"; open my $p, '-|', 'printf "a\nb\n"' or die; print map { "pipe $_" } <$p>; close $p;
local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 0.1; sleep 5; }; print $@;
$SIG{USR1} = sub { print "usr1\n" }; kill USR1 => $$; local $SIG{CHLD} = sub { }; pipe my $r, my $w; if (!fork) { print $w "from child\n"; exit } close $w; print <$r>; wait;
my $s = IO::Socket::UNIX->new(Local => 'ps', Listen => 1) or die $!; if (!fork) { my $c = IO::Socket::UNIX->new(Peer => 'ps'); print $c "hello\n"; print scalar <$c>; exit } my $c = $s->accept; print 'server ', scalar <$c>; print $c "bye\n"; close $c; wait;
open my $f, '>', 'file'; flock $f, LOCK_EX; printf $f "%05.2f\n", 3.14159; close $f; open $f, '<', 'file'; print <$f>; print -s 'file', ' ', (stat 'file')[2] & 0777 ? 'mode' : '', "\n"; store [1, { a => 2 }], 'st'; print retrieve('st')->[1]{a}, "\n";
opendir my $d, '.'; print join(' ', sort grep { !/^\./ } readdir $d), "\n"; my @s = sort { $b <=> $a } 3, 10, 2; print "@s\n"; print sprintf('%s', 2 ** 53), ' ', 10 % 3, ' ', join('', reverse split //, 'abc'), "\n"; print POSIX::strftime('%F', gmtime 86400), "\n";
EOF
perl t.pl
