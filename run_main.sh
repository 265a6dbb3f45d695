#!/usr/bin/env bash
# Starts the whole of Elastic Images on this machine; Ctrl-C stops it. The first run installs it into .venv.
# Arguments go to `elastic-images up`: ./run_main.sh --help shows them.
#
# Settings: take the # from a line and put your value behind the :- ; what the environment says wins over it.
# docs/settings.md explains them all.

# Where the image bytes are (Amazon S3; docs/aws.md). AWS_ENDPOINT_URL_S3 names a service other than Amazon's.
# export ELASTIC_IMAGES_OBJECT_STORE="${ELASTIC_IMAGES_OBJECT_STORE:-s3://my-bucket/images}"

# Keys, metadata, accounts and configuration (Amazon RDS, or any MySQL, MariaDB or PostgreSQL); or a file with the URL.
# Amazon's certificates: https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem
# export ELASTIC_IMAGES_DATABASE="${ELASTIC_IMAGES_DATABASE:-mysql://user:password@my-database.rds.amazonaws.com/elastic_images?ssl_ca=rds.pem}"
# export ELASTIC_IMAGES_DATABASE="${ELASTIC_IMAGES_DATABASE:-postgresql://user:password@my-database.rds.amazonaws.com/elastic_images?sslmode=verify-full&sslrootcert=rds.pem}"
# export ELASTIC_IMAGES_DATABASE_FILE="${ELASTIC_IMAGES_DATABASE_FILE:-/etc/elastic-images/database}"

# Figures (Amazon CloudWatch: a namespace), and the name by which systems in one account are told apart.
# export ELASTIC_IMAGES_METRICS="${ELASTIC_IMAGES_METRICS:-cloudwatch://ElasticImages}"
# export ELASTIC_IMAGES_POOL="${ELASTIC_IMAGES_POOL:-images}"

# Cache nodes (Amazon EC2: Amazon Linux 2023; docs/aws.md), and the address in the VPC at which nodes reach this machine.
# Before the first start: elastic-images aws push --to s3://my-bucket/packages. deploy/aws makes all of it by CloudFormation.
# export ELASTIC_IMAGES_NODE_PROVIDER="${ELASTIC_IMAGES_NODE_PROVIDER:-ec2://?ami=ami-0123456789abcdef0&type=t3.small&subnet=subnet-0123456789abcdef0&security_group=sg-0123456789abcdef0&profile=my-node-profile&packages=s3://my-bucket/packages&secret=my-internal-token}"
# export ELASTIC_IMAGES_INTERNAL_HOST="${ELASTIC_IMAGES_INTERNAL_HOST:-0.0.0.0}"
# export ELASTIC_IMAGES_ADVERTISE="${ELASTIC_IMAGES_ADVERTISE:-10.0.0.10}"

# The secret that calls between services carry: the one in Secrets Manager that nodes read.
# export ELASTIC_IMAGES_INTERNAL_TOKEN_FILE="${ELASTIC_IMAGES_INTERNAL_TOKEN_FILE:-/etc/elastic-images/internal-token}"

# The region, and the credentials for AWS where the machine has no role.
# export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"
# export AWS_ACCESS_KEY_ID="${AWS_ACCESS_KEY_ID:-}"
# export AWS_SECRET_ACCESS_KEY="${AWS_SECRET_ACCESS_KEY:-}"
# export AWS_ENDPOINT_URL_S3="${AWS_ENDPOINT_URL_S3:-https://s3.example.com}"

# The data folder, and what is added to every port.
# export ELASTIC_IMAGES_DATA="${ELASTIC_IMAGES_DATA:-./data}"
# export ELASTIC_IMAGES_PORT_OFFSET="${ELASTIC_IMAGES_PORT_OFFSET:-0}"

# The address that people reach it by: 0.0.0.0 lets other machines in.
# export ELASTIC_IMAGES_HOST="${ELASTIC_IMAGES_HOST:-127.0.0.1}"
# export ELASTIC_IMAGES_ALLOWED_HOSTS="${ELASTIC_IMAGES_ALLOWED_HOSTS:-images.example.com}"
# export ELASTIC_IMAGES_TRUSTED_PROXIES="${ELASTIC_IMAGES_TRUSTED_PROXIES:-10.0.0.0/16}"

# What a visitor without an account may do: none, read, write, admin (everything open: for demonstrations only).
# export ELASTIC_IMAGES_ANONYMOUS="${ELASTIC_IMAGES_ANONYMOUS:-read}"

# The first administrator's password; generated and printed on first start where it is not set.
# export ELASTIC_IMAGES_ADMIN_PASSWORD="${ELASTIC_IMAGES_ADMIN_PASSWORD:-}"

# The first size of the pool, 1 to 8.
# export ELASTIC_IMAGES_NODES="${ELASTIC_IMAGES_NODES:-1}"

set -u
self="$0"
while [ -L "$self" ]; do # a link to this file, in a folder of its own
  link=$(readlink "$self")
  case "$link" in /*) self="$link" ;; *) self="$(dirname -- "$self")/$link" ;; esac
done
root=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd -P) || exit 1
# shellcheck source=scripts/environment.sh
. "$root/scripts/environment.sh"
# Where a setting asks for AWS, what that needs is installed, too.
extra=""
case "${ELASTIC_IMAGES_OBJECT_STORE:-} ${ELASTIC_IMAGES_METRICS:-} ${ELASTIC_IMAGES_NODE_PROVIDER:-} ${*-}" in
  *s3://* | *cloudwatch://* | *ec2://*) extra="aws" ;;
esac
make_environment "$root" "$extra" || exit 1
exec "$root/.venv/bin/python" -m elastic_images up ${1+"$@"}
