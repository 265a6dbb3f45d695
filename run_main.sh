#!/usr/bin/env bash
# Starts Elastic Images on this machine; Ctrl-C stops it. The first run installs it into .venv.
# Arguments are passed to `elastic-images up`: see ./run_main.sh --help.
#
# To change a setting, uncomment its line and replace the value after :- . The environment overrides these values.
# docs/settings.md describes all settings.

# Where images are stored (Amazon S3; docs/aws.md). For a service other than Amazon's, set AWS_ENDPOINT_URL_S3.
# export ELASTIC_IMAGES_OBJECT_STORE="${ELASTIC_IMAGES_OBJECT_STORE:-s3://my-bucket/images}"

# The database for metadata, accounts and configuration (Amazon RDS, or any MySQL, MariaDB or PostgreSQL), or a file
# with its URL. Amazon's certificates: https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem
# export ELASTIC_IMAGES_DATABASE="${ELASTIC_IMAGES_DATABASE:-mysql://user:password@my-database.rds.amazonaws.com/elastic_images?ssl_ca=rds.pem}"
# export ELASTIC_IMAGES_DATABASE="${ELASTIC_IMAGES_DATABASE:-postgresql://user:password@my-database.rds.amazonaws.com/elastic_images?sslmode=verify-full&sslrootcert=rds.pem}"
# export ELASTIC_IMAGES_DATABASE_FILE="${ELASTIC_IMAGES_DATABASE_FILE:-/etc/elastic-images/database}"

# Metrics (Amazon CloudWatch: a namespace), and a pool name that distinguishes systems in one account.
# export ELASTIC_IMAGES_METRICS="${ELASTIC_IMAGES_METRICS:-cloudwatch://ElasticImages}"
# export ELASTIC_IMAGES_POOL="${ELASTIC_IMAGES_POOL:-images}"

# Cache nodes (Amazon EC2 with Amazon Linux 2023; docs/aws.md), and the address at which nodes reach this machine.
# Before the first start, run: elastic-images aws push --to s3://my-bucket/packages
# The CloudFormation templates in deploy/aws set up all of this.
# export ELASTIC_IMAGES_NODE_PROVIDER="${ELASTIC_IMAGES_NODE_PROVIDER:-ec2://?ami=ami-0123456789abcdef0&type=t3.small&subnet=subnet-0123456789abcdef0&security_group=sg-0123456789abcdef0&profile=my-node-profile&packages=s3://my-bucket/packages&secret=my-internal-token}"
# export ELASTIC_IMAGES_INTERNAL_HOST="${ELASTIC_IMAGES_INTERNAL_HOST:-0.0.0.0}"
# export ELASTIC_IMAGES_ADVERTISE="${ELASTIC_IMAGES_ADVERTISE:-10.0.0.10}"

# The secret for calls between services; the same one that nodes read from Secrets Manager.
# export ELASTIC_IMAGES_INTERNAL_TOKEN_FILE="${ELASTIC_IMAGES_INTERNAL_TOKEN_FILE:-/etc/elastic-images/internal-token}"

# The AWS region, and credentials if the machine has no role.
# export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"
# export AWS_ACCESS_KEY_ID="${AWS_ACCESS_KEY_ID:-}"
# export AWS_SECRET_ACCESS_KEY="${AWS_SECRET_ACCESS_KEY:-}"
# export AWS_ENDPOINT_URL_S3="${AWS_ENDPOINT_URL_S3:-https://s3.example.com}"

# The data folder, and an offset added to every port.
# export ELASTIC_IMAGES_DATA="${ELASTIC_IMAGES_DATA:-./data}"
# export ELASTIC_IMAGES_PORT_OFFSET="${ELASTIC_IMAGES_PORT_OFFSET:-0}"

# The address to listen on: 0.0.0.0 accepts connections from other machines.
# export ELASTIC_IMAGES_HOST="${ELASTIC_IMAGES_HOST:-127.0.0.1}"
# export ELASTIC_IMAGES_ALLOWED_HOSTS="${ELASTIC_IMAGES_ALLOWED_HOSTS:-images.example.com}"
# export ELASTIC_IMAGES_TRUSTED_PROXIES="${ELASTIC_IMAGES_TRUSTED_PROXIES:-10.0.0.0/16}"

# Other sites whose pages may call the API with a token.
# export ELASTIC_IMAGES_CORS_ORIGINS="${ELASTIC_IMAGES_CORS_ORIGINS:-https://app.example.com}"

# What visitors without an account may do: none, read, write, or admin (everything; for demonstrations only).
# export ELASTIC_IMAGES_ANONYMOUS="${ELASTIC_IMAGES_ANONYMOUS:-read}"

# Who sees a new image, unless its upload says otherwise: public, members (who is logged in), or private (its owner).
# export ELASTIC_IMAGES_DEFAULT_VISIBILITY="${ELASTIC_IMAGES_DEFAULT_VISIBILITY:-public}"

# The first administrator's password; if not set, one is generated and printed on first start.
# export ELASTIC_IMAGES_ADMIN_PASSWORD="${ELASTIC_IMAGES_ADMIN_PASSWORD:-}"

# The initial number of cache nodes, 1 to 8.
# export ELASTIC_IMAGES_NODES="${ELASTIC_IMAGES_NODES:-1}"

set -u
self="$0"
while [ -L "$self" ]; do # follow links to this file
  link=$(readlink "$self")
  case "$link" in /*) self="$link" ;; *) self="$(dirname -- "$self")/$link" ;; esac
done
root=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd -P) || exit 1
# shellcheck source=scripts/environment.sh
. "$root/scripts/environment.sh"
# Also install what AWS needs, if a setting uses it.
extra=""
case "${ELASTIC_IMAGES_OBJECT_STORE:-} ${ELASTIC_IMAGES_METRICS:-} ${ELASTIC_IMAGES_NODE_PROVIDER:-} ${*-}" in
  *s3://* | *cloudwatch://* | *ec2://*) extra="aws" ;;
esac
make_environment "$root" "$extra" || exit 1
exec "$root/.venv/bin/python" -m elastic_images up ${1+"$@"}
