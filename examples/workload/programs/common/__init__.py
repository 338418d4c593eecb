"""Resources for the workload's programs: real ones, made by boto3, psycopg and the Kubernetes client."""
