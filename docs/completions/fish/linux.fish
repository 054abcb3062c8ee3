# fish completion for linux
complete -c linux -a '--help --showconfig --version con= con0= con1= console= hostfs= init= mconsole=notify: mem= ncpus= nofsgsbase noreboot quiet ro root= rootflags= rootfstype=hostfs rw spin=auto spin=off ssl-non-raw ssl= ssl0= ssl1= uml_dir= umid= xterm='
