import * as ptd from "@posit-dev/pulumi-ptd";

const admin = new ptd.aws.AdminPolicy("admin", {
    accountId: "123456789012",
    tags: { "posit.team/managed-by": "admin" },
});

export const arn = admin.arn;
export const documentStatus = admin.documentStatus;
