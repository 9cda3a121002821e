#!/bin/sh
# Makes what docker-compose.hardened.yml needs: an authority, certificates, passwords, and files that bring them to each service.
#
#   sh configs/hardened/make-secrets.sh [FOLDER]      # default: secrets, which git and the image's build ignore
#
# Each service gets a folder of its own and sees no other. The folder above them belongs to you alone; what is in them can be read by any
# user, because each container has another one. Run it again after deleting FOLDER: it replaces nothing. Certificates last 825 days.
set -eu
umask 077
folder=${1:-secrets}
if [ -e "$folder" ]; then
    echo "$folder is there already: delete it to make new certificates and passwords" >&2
    exit 1
fi
command -v openssl >/dev/null || { echo "openssl is missing: install it" >&2; exit 1; }
mkdir -p "$folder"
cd "$folder"
days=825
key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1"

# --- the authority -------------------------------------------------------------------------------------------------------------------
mkdir authority
openssl req -x509 $key -nodes -days "$days" -subj "/CN=sentistream authority" -keyout authority/key.pem -out authority/ca.pem \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null

# certificate NAME FOR: a key and a certificate whose common name is NAME, for servers (with host names) or clients.
certificate() {
    mkdir -p "$1"
    printf '%s\n' "basicConstraints=CA:FALSE" "keyUsage=critical,digitalSignature" "extendedKeyUsage=$2" >"$1/extensions"
    case $2 in *serverAuth*) echo "subjectAltName=DNS:$1,DNS:localhost,IP:127.0.0.1" >>"$1/extensions" ;; esac
    openssl req $key -nodes -subj "/CN=$1" -keyout "$1/key.pem" -out "$1/request.pem" 2>/dev/null
    openssl x509 -req -in "$1/request.pem" -CA authority/ca.pem -CAkey authority/key.pem -CAcreateserial -days "$days" \
        -extfile "$1/extensions" -out "$1/cert.pem" 2>/dev/null
    cp authority/ca.pem "$1/ca.pem"
    rm "$1/extensions" "$1/request.pem"
}
certificate kafka serverAuth,clientAuth # the broker is a client of itself
certificate redis serverAuth,clientAuth # its health check is a client
for client in admin worker gateway producer consumer; do certificate "$client" clientAuth; done

# --- Kafka: its certificate with its key in one file, as Kafka reads PEM -----------------------------------------------------------------
cat kafka/key.pem kafka/cert.pem authority/ca.pem >kafka/keystore.pem
cat >kafka/admin.properties <<END
security.protocol=SSL
ssl.keystore.type=PEM
ssl.keystore.location=/etc/sentistream/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=/etc/sentistream/ca.pem
END

# --- users: a password each, and what Redis lets them do -----------------------------------------------------------------------------------
own='~sentistream:* resetchannels &sentistream:{*}:nudge'
rights() {
    case $1 in
    worker | gateway) echo "$own -@all +@read +@write +@scripting +@pubsub +@transaction +@connection -@dangerous +info +time +cluster|slots +command" ;;
    consumer) echo "$own -@all +@read +@pubsub +@transaction +@connection -@dangerous +info +time +cluster|slots +command" ;;
    esac
}
echo "user default off" >redis/users.acl
: >admin/users.txt
for user in worker gateway producer consumer; do
    password=$(openssl rand -hex 24)
    echo "$user $password" >>admin/users.txt
    {
        echo "SENTISTREAM_KAFKA__SECURITY=sasl_ssl"
        echo "SENTISTREAM_KAFKA__SASL_MECHANISM=SCRAM-SHA-512"
        echo "SENTISTREAM_KAFKA__USERNAME=$user"
        echo "SENTISTREAM_KAFKA__PASSWORD=$password"
        echo "SENTISTREAM_KAFKA__CA_FILE=/etc/sentistream/ca.pem"
    } >"$user/settings.env"
    if [ -n "$(rights "$user")" ]; then
        password=$(openssl rand -hex 24)
        hash=$(printf %s "$password" | openssl dgst -sha256 -r | cut -d' ' -f1)
        echo "user $user on #$hash $(rights "$user")" >>redis/users.acl
        files=ssl_ca_certs=/etc/sentistream/ca.pem\&ssl_certfile=/etc/sentistream/cert.pem\&ssl_keyfile=/etc/sentistream/key.pem
        echo "SENTISTREAM_REDIS__URL=rediss://$user:$password@redis:6379/0?$files" >>"$user/settings.env"
    fi
done
find . -mindepth 2 -type f -exec chmod a+r {} +
find . -mindepth 1 -type d -exec chmod a+rx {} +
chmod 700 authority
chmod 600 authority/key.pem
echo "made $folder: keep authority/key.pem and admin/ where no service can read them"
