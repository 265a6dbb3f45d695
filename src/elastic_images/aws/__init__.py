"""What the adapters of S3, CloudWatch and EC2 share."""
