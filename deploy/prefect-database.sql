-- Prefect's own database beside Huntonce's, on the same server.
CREATE DATABASE prefect OWNER huntonce;
\connect prefect
CREATE EXTENSION IF NOT EXISTS pg_trgm;
