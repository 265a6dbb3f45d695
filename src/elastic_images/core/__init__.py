"""The rules, pure: values in, values out, no clock, no network, no disk."""
