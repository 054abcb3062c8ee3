# fish completion for uml_watchdog
complete -c uml_watchdog -a '-mconsole -pid'
