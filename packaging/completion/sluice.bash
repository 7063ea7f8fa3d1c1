# Completion of sluice(8) for bash. What there is, is asked of the program itself.

_sluice() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}

	case $prev in
	-c | --config)
		COMPREPLY=($(compgen -f -X '!*.ini' -- "$cur") $(compgen -d -- "$cur"))
		return
		;;
	-l | --listen)
		COMPREPLY=($(compgen -W 'unix: inherit 127.0.0.1:' -- "$cur"))
		return
		;;
	esac
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" --help 2>/dev/null |
			sed -n 's/^\(usage:\|  *\) *sluice \[\{0,1\}\([a-z]*\)\]\{0,1\} .*/\2/p' | sort -u) --help --version" -- "$cur"))
		return
	fi
	case $cur in
	-*)
		COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" "${COMP_WORDS[1]}" --help 2>/dev/null |
			sed -n 's/^  \(-., \)\{0,1\} *\(--[a-z]*\).*/\2/p') --help" -- "$cur"))
		;;
	*) COMPREPLY=($(compgen -f -- "$cur")) ;;
	esac
}
complete -F _sluice sluice
