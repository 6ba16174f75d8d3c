#!/bin/sh
# Make the passwords that compose.yaml needs, once, in the folder secrets beside this file.
set -eu

folder=$(dirname "$0")/secrets
if [ -e "$folder" ]; then
    echo "$folder is there already; nothing was changed" >&2
    exit 0
fi

# Only this user may enter the folder; what a container mounts from it, the container's user can read.
umask 077
part=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$part"' EXIT

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

put() {
    printf '%s\n' "$2" > "$part/$1"
    chmod 644 "$part/$1"
}

nats_worker=$(random)
nats_application=$(random)
nats_operator=$(random)
put nats_worker_password "$nats_worker"
put nats_application_password "$nats_application"
put nats_operator_password "$nats_operator"
put nats_passwords.conf "WORKER_PASSWORD: \"$nats_worker\"
APPLICATION_PASSWORD: \"$nats_application\"
OPERATOR_PASSWORD: \"$nats_operator\""

database_owner=$(random)
database_worker=$(random)
put postgres_password "$(random)"
put database_owner_url "postgresql://photo_app:$database_owner@postgres:5432/photo_app"
put database_worker_url "postgresql://facematch_worker:$database_worker@postgres:5432/photo_app"
put postgres_roles.sql "CREATE ROLE photo_app LOGIN PASSWORD '$database_owner';
CREATE ROLE facematch_worker LOGIN PASSWORD '$database_worker';
ALTER ROLE photo_app SET log_parameter_max_length = 0;
ALTER ROLE photo_app SET log_error_verbosity = terse;
ALTER ROLE facematch_worker SET log_parameter_max_length = 0;
ALTER ROLE facematch_worker SET log_error_verbosity = terse;
ALTER DATABASE photo_app OWNER TO photo_app;
CREATE EXTENSION vector;"

s3_application=$(random)
s3_worker=$(random)
put s3_application_secret_key "$s3_application"
put s3_worker_secret_key "$s3_worker"
put s3_identities.json '{"identities": [
  {"name": "application", "credentials": [{"accessKey": "application", "secretKey": "'"$s3_application"'"}],
   "actions": ["Read:images", "Write:images", "List:images"]},
  {"name": "worker", "credentials": [{"accessKey": "worker", "secretKey": "'"$s3_worker"'"}],
   "actions": ["Read:images", "List:images"]}]}'

mv "$part" "$folder"
echo "made $folder"
