import * as ptd from "@posit-dev/pulumi-ptd";

const database = new ptd.aws.SecretFields("database", {
    secret: "acme01-staging.posit.team",
    region: "us-east-2",
    fields: {
        "main-database-id": "acme01-main",
        "main-database-url": "postgres://db.acme.example.com/main",
    },
});

export const secretArn = database.secretArn;
