// The ptd Pulumi provider: bootstrap and run Posit Team Dedicated platforms as one Pulumi program.
package ptd
