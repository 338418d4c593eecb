module example.com/audit
