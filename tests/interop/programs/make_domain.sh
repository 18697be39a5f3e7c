# Provisions an Active Directory domain in the folder $1, unless that was done before. The rest of the command line goes to
# samba-tool. The folder holds smb.conf, with paths relative to it, and is copied for each test.
set -eu
domain=$1
configuration=$2
shift 2
# Two tests may need it at once.
exec 9>"${domain%-*}.lock"
flock 9
[ ! -e "$domain" ] || exit 0
# Those that were made otherwise.
rm -rf "${domain%-*}"-*
mkdir -p "$domain.new/sysvol"
sed "s|@|$domain.new|" "$configuration" >"$domain.new/smb.conf"
samba-tool domain provision --configfile="$domain.new/smb.conf" --server-role=dc --dns-backend=NONE "$@"
/usr/bin/python3 "${0%/*}/populate_domain.py" "$domain.new/smb.conf"
mv "$domain.new" "$domain"
