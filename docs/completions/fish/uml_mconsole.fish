# fish completion for uml_mconsole
complete -c uml_mconsole -f -n 'test (count (commandline -opc)) -eq 1' -a '(umlaut ls -q 2>/dev/null)'
complete -c uml_mconsole -n 'test (count (commandline -opc)) -gt 1' -a 'cad config go halt help int log proc reboot remove stack stop sysrq version'
