"""A stateful double of Azure Resource Manager, Key Vault and their token authority, for tests only.

Every request body is held against the models that Microsoft generates for its own Python clients, and those clients
drive the double in test_azure_double.py, so that it cannot drift into something no service would answer.
"""
