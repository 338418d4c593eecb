module example.com/export
